package isolationtest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

var poolClauses = []clause{
	{name: "a pool smaller than the number of tenants serves them all", opts: conns(2), check: checkSmallPool},
	{name: "two pools in one process stay apart", opts: conns(2), check: checkTwoPools},
	{name: "tenants stay apart while connections are killed", needs: hasKill, opts: conns(stormConns), check: checkStormOfKills},
	{name: "many tenants stay apart in a storm of everything at once", opts: conns(stormConns), check: checkStorm},
}

func checkSmallPool(ctx context.Context, s *suite) error {
	guests, err := s.crowd(ctx, 10)
	if err != nil {
		return err
	}
	err = parallel(len(guests), func(worker int) error {
		for round := range 5 {
			if err := s.intact(ctx, guests[(worker+round)%len(guests)]); err != nil {
				return err
			}
			if open := s.Pool.Stats().Open; open > 2 {
				return fmt.Errorf("%d connections are open, want 2 at most", open)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.settles(2)
}

func checkTwoPools(ctx context.Context, s *suite) (err error) {
	second, err := s.another(conns(2)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.close(context.WithoutCancel(ctx))) }()
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	c, d, err := second.pair(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		err := errors.Join(s.intact(ctx, a), second.intact(ctx, c), s.intact(ctx, b), second.intact(ctx, d))
		if err != nil {
			return err
		}
	}
	if err := second.db.Close(); err != nil {
		return err
	}
	_, err = second.db.ExecContext(c.in(ctx), "DELETE FROM tags")
	if err := wantAnyErr("a statement on a closed pool", err); err != nil {
		return err
	}
	if _, err := second.Pool.Connect(ctx); !errors.Is(err, isolation.ErrClosed) {
		return wantErr("connecting to a closed pool", err, isolation.ErrClosed)
	}
	return s.intact(ctx, a, b)
}
