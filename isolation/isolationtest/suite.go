package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
)

// A clause that takes longer than this hangs, even on a slow machine.
const clauseTimeout = 5 * time.Minute

// clause is one rule that a strategy must keep.
type clause struct {
	name  string
	opts  []isolation.Option
	needs func(Target) bool // nil means that it concerns every target
	check func(ctx context.Context, s *suite) error
}

// clauses returns all clauses; the storm is the last.
func clauses() []clause {
	return slices.Concat(
		statementClauses, namingClauses, preparedClauses, connClauses, transactionClauses, switchClauses,
		contextClauses, homeClauses, cancelClauses, killClauses, limitClauses, sizeClauses, controlClauses, residueClauses, poolClauses,
	)
}

// opener makes a target whose pool has the given options.
type opener func(opts ...isolation.Option) (Target, error)

// TestStrategy checks a strategy, one subtest for each clause. open makes a pool
// with opts over the strategy; the package comment says more. With -short, the
// clauses with many goroutines do less.
func TestStrategy(t *testing.T, open func(t *testing.T, opts ...isolation.Option) Target) {
	TestPart(t, 0, 1, open)
}

// TestPart is [TestStrategy] for one of so many parts of the clauses, counted from 0:
// for strategies that are alike but for a detail, so that together they are checked by
// every clause.
func TestPart(t *testing.T, part, parts int, open func(t *testing.T, opts ...isolation.Option) Target) {
	for i, c := range clauses() {
		if i%parts != part {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			err := c.run(t.Context(), testing.Short(), func(opts ...isolation.Option) (Target, error) {
				return open(t, opts...), nil
			})
			if errors.Is(err, errNotConcerned) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// Check is [TestStrategy] without a test: it returns the clauses that do not
// hold. Use it to see that a strategy which is wrong on purpose is caught. With
// names, it checks those clauses only; a name that no clause has is a finding.
func Check(ctx context.Context, open func(opts ...isolation.Option) (Target, error), names ...string) []Finding {
	short := testing.Testing() && testing.Short()
	var findings []Finding
	for _, c := range selected(names) {
		err := c.run(ctx, short, open)
		if err != nil && !errors.Is(err, errNotConcerned) {
			findings = append(findings, Finding{Clause: c.name, Err: err})
		}
	}
	return findings
}

// selected returns the clauses with these names, or all if there are none.
func selected(names []string) []clause {
	all := clauses()
	if len(names) == 0 {
		return all
	}
	chosen := make([]clause, len(names))
	for i, name := range names {
		at := slices.IndexFunc(all, func(c clause) bool { return c.name == name })
		if at < 0 {
			chosen[i] = clause{name: name, check: noSuchClause}
			continue
		}
		chosen[i] = all[at]
	}
	return chosen
}

func noSuchClause(context.Context, *suite) error {
	return errors.New("isolationtest: no clause has this name")
}

var errNotConcerned = errors.New("isolationtest: the target has no such thing")

// run checks c on a target of its own and cleans up after it.
func (c clause) run(ctx context.Context, short bool, open opener) (err error) {
	ctx, cancel := context.WithTimeout(ctx, clauseTimeout)
	defer cancel()
	s, err := newSuite(open, short, c.opts...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(ctx))) }()
	if c.needs != nil && !c.needs(s.Target) {
		return errNotConcerned
	}
	if err := c.check(ctx, s); err != nil {
		return err
	}
	if s.checked.Load() == 0 {
		return errors.New("isolationtest: the clause saw no rows, so it proves nothing")
	}
	return nil
}

// suite is a target in use by one clause.
type suite struct {
	Target
	db      *sql.DB
	open    opener
	short   bool
	checked atomic.Int64 // rows seen and found to be the right tenant's
	guests  []guest      // to be deprovisioned
}

func newSuite(open opener, short bool, opts ...isolation.Option) (*suite, error) {
	target, err := open(opts...)
	if err != nil {
		return nil, fmt.Errorf("isolationtest: opening a target: %w", err)
	}
	if err := target.validate(); err != nil {
		return nil, err
	}
	return &suite{Target: target, db: sql.OpenDB(target.Pool), open: open, short: short}, nil
}

// another opens a second target beside s, which the caller closes.
func (s *suite) another(opts ...isolation.Option) (*suite, error) {
	return newSuite(s.open, s.short, opts...)
}

// close closes the pool and removes the tenants' homes.
func (s *suite) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, clauseTimeout)
	defer cancel()
	err := s.db.Close()
	for _, g := range s.guests {
		err = errors.Join(err, s.Deprovision(ctx, g.Tenant))
	}
	if err != nil {
		return fmt.Errorf("isolationtest: cleaning up: %w", err)
	}
	return nil
}
