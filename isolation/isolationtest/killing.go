package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

var killClauses = []clause{
	{name: "killed idle connections are an error or a retry", needs: hasKill, opts: conns(3), check: checkKilledIdle},
	{name: "a connection killed in a transaction commits nothing", needs: hasKill, opts: conns(2), check: checkKilledTx},
	{name: "a connection killed under open rows yields no others' rows", needs: hasKill, opts: conns(1), check: checkKilledRows},
}

// recoverWithin is in how many attempts a pool must have noticed that all its
// connections are dead.
const recoverWithin = 10

// recovers tries to read until the pool has noticed that its connections died, and
// wants seeds rows then.
func (s *suite) recovers(read func() (int, error)) error {
	var err error
	for range recoverWithin {
		var n int
		n, err = read()
		if errors.Is(err, ErrLeak) {
			return err
		}
		if err == nil && n != seeds {
			return fmt.Errorf("read %d rows after connections were killed, want %d", n, seeds)
		}
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("no recovery after %d attempts: %w", recoverWithin, err)
}

// onlyLeaks drops all errors but leaks.
func onlyLeaks(err error) error {
	if errors.Is(err, ErrLeak) {
		return err
	}
	return nil
}

func checkKilledIdle(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 4)
	if err != nil {
		return err
	}
	for range 2 {
		// Several at once, so that there are several connections to kill.
		if err := parallel(len(guests), func(i int) error { return s.intact(ctx, guests[i]) }); err != nil {
			return err
		}
		if err := s.Kill(ctx); err != nil {
			return fmt.Errorf("killing the connections: %w", err)
		}
		for _, g := range guests {
			if err := s.recovers(func() (int, error) { return s.read(ctx, s.db, g, allNotes) }); err != nil {
				return err
			}
		}
		if err := s.intact(ctx, guests...); err != nil {
			return err
		}
	}
	return nil
}

func checkKilledTx(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.inTx(a.in(ctx), func(tx *sql.Tx) error {
		if _, err := s.exec(ctx, tx, a, "DELETE FROM tags"); err != nil {
			return err
		}
		if err := s.Kill(ctx); err != nil {
			return errors.Join(errOnPurpose, err)
		}
		n, err := s.read(ctx, tx, a, allNotes)
		if err == nil {
			return fmt.Errorf("%w: read %d rows in a transaction whose connection was killed", errOnPurpose, n)
		}
		return err
	})
	if errors.Is(err, errOnPurpose) || errors.Is(err, ErrLeak) {
		return err
	}
	if err := wantAnyErr("a transaction whose connection was killed", err); err != nil {
		return err
	}
	for _, g := range []guest{b, a} {
		if err := s.recovers(func() (int, error) { return s.read(ctx, s.db, g, allTags) }); err != nil {
			return err
		}
	}
	return s.intact(ctx, a, b)
}

func checkKilledRows(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(a.in(ctx), "SELECT n.body FROM notes n, notes m, notes o, notes p")
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // its connection is dead
		rows.Next()
		if err := s.Kill(ctx); err != nil {
			return err
		}
		_, err = s.scan(rows, a)
		return onlyLeaks(err)
	})
	if err != nil {
		return err
	}
	if err := s.recovers(func() (int, error) { return s.read(ctx, s.db, b, allNotes) }); err != nil {
		return err
	}
	return s.intact(ctx, b, a)
}
