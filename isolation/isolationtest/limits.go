package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var limitClauses = []clause{
	{name: "a tenant's limits are on its session and not on the next tenant's", needs: hasLimits, check: checkLimits},
	{name: "a statement that fails right after a switch does not undo the limits", needs: hasLimits, check: checkLimitsAfterFailure},
	{name: "limits that change hold from the next statement on", needs: hasLimits, check: checkLimitsChange},
	{name: "a statement that takes longer than its tenant may is ended, and no other tenant's", needs: hasLimits, check: checkStatementTimeout},
	{name: "a lock is waited for as long as the tenant may", needs: hasLimits, check: checkLockTimeout},
	{name: "a transaction that idles longer than its tenant may is ended", needs: hasLimits, check: checkIdleTimeout},
	{name: "limits that nobody knows refuse the statement", needs: hasLimits, check: checkUnknownLimits},
	{name: "limits of many tenants stay apart", needs: hasLimits, check: checkLimitsApart},
}

func hasLimits(t Target) bool { return t.Limits }

// limited is a target whose tenants have limits.
type limited struct {
	*suite
	mu  sync.Mutex
	err error
	of  map[tenant.ID]isolation.Limits
}

// withLimits opens a pool of n connections beside s, and calls do.
func (s *suite) withLimits(ctx context.Context, n int, do func(l *limited) error) (err error) {
	l := &limited{of: map[tenant.ID]isolation.Limits{}}
	l.suite, err = s.another(isolation.MaxConns(n), isolation.LimitsBy(l.find))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	return do(l)
}

func (l *limited) find(_ context.Context, t tenant.Tenant) (isolation.Limits, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of[t.ID], l.err
}

func (l *limited) set(g guest, limits isolation.Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.of[g.ID] = limits
}

func (l *limited) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

// levels are limits as PostgreSQL's catalog has them: in milliseconds and kilobytes.
type levels map[string]int64

const settingsQuery = `SELECT name, setting FROM pg_settings
	WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'work_mem')`

// levels returns the limits of g's session.
func (s *suite) levels(ctx context.Context, db database, g guest) (levels, error) {
	rows, err := db.QueryContext(g.in(ctx), settingsQuery)
	if err != nil {
		return nil, fmt.Errorf("reading the limits of tenant %s: %w", g.ID, err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	found := levels{}
	for rows.Next() {
		var name string
		var value int64
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		found[name] = value
	}
	return found, rows.Err()
}

// with returns s with l over it.
func (s levels) with(l isolation.Limits) levels {
	changed := maps.Clone(s)
	for name, value := range map[string]int64{
		"statement_timeout": l.StatementTimeout.Milliseconds(), "lock_timeout": l.LockTimeout.Milliseconds(),
		"idle_in_transaction_session_timeout": l.IdleTimeout.Milliseconds(), "work_mem": l.WorkMem >> 10,
	} {
		if value > 0 {
			changed[name] = value
		}
	}
	return changed
}

// has wants g's session to have just these limits.
func (s *suite) has(ctx context.Context, db database, g guest, want levels) error {
	got, err := s.levels(ctx, db, g)
	if err != nil {
		return err
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("%w: the session of tenant %s has the limits %v, want %v", ErrLeak, g.ID, got, want)
	}
	return nil
}

// Limits that no server has by itself.
var (
	tight = isolation.Limits{StatementTimeout: 71 * time.Second, LockTimeout: 72 * time.Second, IdleTimeout: 73 * time.Second, WorkMem: 2345 << 10}
	loose = isolation.Limits{StatementTimeout: 81 * time.Minute, WorkMem: 9876 << 10}
)

func checkLimits(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	bare, err := s.levels(ctx, s.db, guests[0])
	if err != nil {
		return err
	}
	return s.withLimits(ctx, 1, func(l *limited) error {
		l.set(guests[0], tight)
		l.set(guests[1], loose)
		wants := []levels{bare.with(tight), bare.with(loose), bare}
		for _, i := range []int{0, 2, 1, 0, 1, 2, 2, 0, 0, 2} {
			if err := l.has(ctx, l.db, guests[i], wants[i]); err != nil {
				return err
			}
			err := l.inTx(guests[i].in(ctx), func(tx *sql.Tx) error { return l.has(ctx, tx, guests[i], wants[i]) })
			if err != nil {
				return err
			}
		}
		return s.intact(ctx, guests...)
	})
}

func checkLimitsAfterFailure(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	bare, err := s.levels(ctx, s.db, a)
	if err != nil {
		return err
	}
	return s.withLimits(ctx, 1, func(l *limited) error {
		l.set(a, tight)
		for _, query := range s.failures() {
			if err := l.has(ctx, l.db, b, bare); err != nil {
				return err
			}
			_, err := l.exec(ctx, l.db, a, query)
			if err := inOrder(
				func() error { return wantAnyErr(query, err) },
				func() error { return l.has(ctx, l.db, a, bare.with(tight)) },
			); err != nil {
				return err
			}
			_, err = l.exec(ctx, l.db, b, query)
			if err := wantAnyErr(query, err); err != nil {
				return err
			}
		}
		return s.intact(ctx, a, b)
	})
}

func checkLimitsChange(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	bare, err := s.levels(ctx, s.db, a)
	if err != nil {
		return err
	}
	return s.withLimits(ctx, 1, func(l *limited) error {
		for _, limits := range []isolation.Limits{{}, tight, loose, {}, {LockTimeout: time.Minute}, tight} {
			l.set(a, limits)
			err := inOrder(
				func() error { return l.has(ctx, l.db, a, bare.with(limits)) },
				func() error { return l.intactOn(ctx, l.db, a) }, // with what was prepared before
			)
			if err != nil {
				return fmt.Errorf("after a change to %+v: %w", limits, err)
			}
		}
		// A transaction keeps those that it began with.
		err := l.inTx(a.in(ctx), func(tx *sql.Tx) error {
			l.set(a, loose)
			return l.has(ctx, tx, a, bare.with(tight))
		})
		if err != nil {
			return err
		}
		if err := l.has(ctx, l.db, a, bare.with(loose)); err != nil {
			return err
		}
		return s.intact(ctx, a, b)
	})
}

const (
	// short is a limit that runs out in a test.
	short = 100 * time.Millisecond
	// long is what runs into it.
	long = "5"
)

// ranInto wants err to say that a statement ran into the limit of this setting.
func ranInto(err error, setting string) error {
	var e *isolation.LimitError
	if !errors.As(err, &e) || !errors.Is(err, isolation.ErrLimit) || e.Setting != setting || e.Limit != short {
		return fmt.Errorf("want a LimitError of %s, got %w", setting, orNone(err))
	}
	return nil
}

func checkStatementTimeout(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	return s.withLimits(ctx, 1, func(l *limited) error {
		l.set(a, isolation.Limits{StatementTimeout: short})
		for query, args := range map[string][]any{"SELECT pg_sleep(" + long + ")": nil, "SELECT pg_sleep($1)": {long}} { // both protocols
			if _, err := l.db.ExecContext(b.in(ctx), "SELECT pg_sleep(0.3)"); err != nil {
				return fmt.Errorf("of tenant %s without a limit: %w", b.ID, err)
			}
			_, err := l.db.ExecContext(a.in(ctx), query, args...)
			if err := ranInto(err, "statement_timeout"); err != nil {
				return err
			}
			err = l.inTx(a.in(ctx), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, query, args...)
				return err
			})
			if err := ranInto(err, "statement_timeout"); err != nil {
				return err
			}
		}
		over, cancel := context.WithTimeout(a.in(ctx), short/2)
		defer cancel()
		if _, err := l.db.ExecContext(over, "SELECT pg_sleep("+long+")"); err == nil || errors.Is(err, isolation.ErrLimit) {
			return fmt.Errorf("a statement whose context ended first: got %w", orNone(err))
		}
		return s.intact(ctx, a, b)
	})
}

func checkLockTimeout(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	const update = "UPDATE notes SET version = 0 WHERE id = 1"
	return s.withLimits(ctx, 2, func(l *limited) error {
		l.set(a, isolation.Limits{LockTimeout: short})
		err := l.inTx(a.in(ctx), func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, update); err != nil {
				return err
			}
			waiting, cancel := context.WithTimeout(ctx, 50*short)
			defer cancel()
			_, err := l.exec(waiting, l.db, a, update)
			return ranInto(err, "lock_timeout")
		})
		if err != nil {
			return err
		}
		return s.intact(ctx, a, b)
	})
}

func checkIdleTimeout(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	return s.withLimits(ctx, 1, func(l *limited) error {
		l.set(a, isolation.Limits{IdleTimeout: short})
		err := l.inTx(a.in(ctx), func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, "DELETE FROM tags"); err != nil {
				return err
			}
			time.Sleep(5 * short)
			_, err := tx.ExecContext(ctx, "DELETE FROM notes")
			return err
		})
		if err := ranInto(err, "idle_in_transaction_session_timeout"); err != nil {
			return err
		}
		return inOrder(func() error { return l.intact(ctx, a, b) }, func() error { return s.intact(ctx, a, b) })
	})
}

func checkUnknownLimits(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	unknown := errors.New("isolationtest: limits are not known")
	return s.withLimits(ctx, 1, func(l *limited) error {
		if err := l.intact(ctx, a); err != nil {
			return err
		}
		l.fail(unknown)
		for _, g := range []guest{a, b} {
			_, err := l.exec(ctx, l.db, g, "DELETE FROM tags")
			if err := wantErr("a statement without limits", err, unknown); err != nil {
				return err
			}
			err = l.inTx(g.in(ctx), func(*sql.Tx) error { return nil })
			if err := wantErr("a transaction without limits", err, unknown); err != nil {
				return err
			}
		}
		l.fail(nil)
		return inOrder(func() error { return l.intact(ctx, a, b) }, func() error { return s.intact(ctx, a, b) })
	})
}

func checkLimitsApart(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	bare, err := s.levels(ctx, s.db, guests[0])
	if err != nil {
		return err
	}
	all := []isolation.Limits{tight, loose, {}}
	return s.withLimits(ctx, 2, func(l *limited) error {
		for i, g := range guests {
			l.set(g, all[i])
		}
		err := parallel(2*len(guests), func(worker int) error {
			g, want := guests[worker%len(guests)], bare.with(all[worker%len(guests)])
			for range 10 {
				err := inOrder(
					func() error { return l.has(ctx, l.db, g, want) },
					func() error {
						return l.inTx(g.in(ctx), func(tx *sql.Tx) error { return l.has(ctx, tx, g, want) })
					},
				)
				if err != nil {
					return err
				}
			}
			return nil
		})
		return errors.Join(err, s.intact(ctx, guests...))
	})
}
