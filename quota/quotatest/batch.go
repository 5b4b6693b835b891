package quotatest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/quota"
)

// batched is of stores that are a [quota.Batcher] alone.
func batched(r *rig) error {
	b, is := r.Store.(quota.Batcher)
	if !is {
		return nil
	}
	c, streams := rate("requests", rolling(quota.Hour, 10)), holding(quota.Concurrent, "streams", 5)
	of := func(n int64) quota.Taking { return r.taking(quota.Charge{Counter: c, N: n}) }
	first, other, malformed, tooMany, held := of(6), of(7), of(1), of(5), r.taking(quota.Charge{Counter: streams, N: 2})
	other.Tenant, malformed.Holder = globex, ""
	back := r.taking(quota.Charge{Counter: c, N: 9, Least: 1})
	back.Returns = []quota.Return{{Counter: c, N: 1, At: r.now()}}
	answers := b.TakeBatch(r.ctx, []quota.Taking{first, other, malformed, tooMany, first, held, back})
	if len(answers) != 7 {
		return fmt.Errorf("%d answers to 7 takings", len(answers))
	}
	granted := func(i int, n int64) error {
		if a := answers[i]; a.Err != nil || !a.Taken.OK || len(a.Taken.Granted) != 1 || a.Taken.Granted[0].N != n {
			return fmt.Errorf("answer %d is %+v, want %d units", i, a, n)
		}
		return nil
	}
	var wrong error
	if a := answers[3]; a.Err != nil || a.Taken.OK || a.Taken.Cause != quota.CauseLimit {
		wrong = fmt.Errorf("answer 3 is %+v, want a refusal", a)
	}
	ended, cancel := context.WithCancel(r.ctx)
	cancel()
	for _, a := range b.TakeBatch(ended, []quota.Taking{of(1), of(1)}) {
		wrong = errors.Join(wrong, fails(a.Err, nil))
	}
	if len(b.TakeBatch(r.ctx, nil)) != 0 {
		wrong = errors.Join(wrong, errors.New("an answer to no taking"))
	}
	levels, err := r.Read(r.ctx, globex, []quota.Counter{c})
	if err != nil || levels[0].Windows[0].Used != 7 {
		wrong = errors.Join(wrong, fmt.Errorf("%+v, %w; want 7 used by the other tenant", levels, err))
	}
	return errors.Join(wrong, fails(answers[2].Err, quota.ErrInvalid),
		granted(0, 6), granted(1, 7), granted(4, 6), granted(5, 2), granted(6, 5), r.used(c, 10), r.used(streams, 2))
}
