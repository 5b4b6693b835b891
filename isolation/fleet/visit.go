package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// visit is what a run finds and does in one home.
type visit struct {
	home     isolation.Home
	kind     Kind
	owner    tenant.ID // empty if the home is shared
	place    string    // of tenants that share it
	set      *set
	version  int64  // all migrations up to it are applied
	checksum string // of these
	from     int64  // version as it was found
	applied  []int64
	measured bool // version and checksum are known
	again    bool // more is to do, on a connection of its own
}

// bring brings t's home to the target, noting in the ledger what happens. Its error
// may be a passing one; then it may be called again.
func (f *Fleet) bring(ctx context.Context, t tenant.Tenant, v *visit) error {
	for {
		if err := f.visit(ctx, t, v); err != nil {
			return err
		}
		if !v.again {
			return f.ledger.reached(ctx, v.home.Key, v.version, v.checksum)
		}
	}
}

// visit does what can be done on one connection.
func (f *Fleet) visit(ctx context.Context, t tenant.Tenant, v *visit) error {
	return f.administer(ctx, t, func(ctx context.Context, conn *sql.Conn, home isolation.Home, inside func() error) error {
		first := v.home.Key == ""
		if err := f.identify(ctx, t, home, v); err != nil {
			return err
		}
		s := newSession(conn, home, f.config)
		return s.locked(ctx, func() error {
			if err := inside(); err != nil {
				return err
			}
			partial, err := f.ledger.begin(ctx, v)
			if err != nil {
				return err
			}
			applied, err := s.applied(ctx)
			if err != nil {
				return err
			}
			v.measure(applied)
			if first {
				v.from = v.version
			}
			return f.apply(ctx, t, s, v, applied, partial)
		})
	})
}

// administer calls work in t's home, and work calls inside once the home is its own.
// It waits no longer than HomeWait until then.
func (f *Fleet) administer(ctx context.Context, t tenant.Tenant,
	work func(ctx context.Context, conn *sql.Conn, home isolation.Home, inside func() error) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	door := time.AfterFunc(f.homeWait, func() { cancel(ErrBusy) })
	defer door.Stop()
	err := f.strategy.Administer(ctx, t, func(ctx context.Context, conn *sql.Conn, home isolation.Home) error {
		return work(ctx, conn, home, func() error {
			if !door.Stop() {
				return ErrBusy
			}
			return nil
		})
	})
	if err != nil && errors.Is(context.Cause(ctx), ErrBusy) {
		return fmt.Errorf("%w for %s (see HomeWait): %w", ErrBusy, f.homeWait, err)
	}
	return err
}

// identify fills in what v's home is.
func (f *Fleet) identify(ctx context.Context, t tenant.Tenant, home isolation.Home, v *visit) error {
	kind, err := kindOf(home)
	if err != nil {
		return err
	}
	v.home, v.kind, v.set, v.again = home, kind, f.migrations.sets[kind], false
	if v.set.err != nil {
		return v.set.err
	}
	if !home.Shared {
		v.owner = t.ID
		return nil
	}
	if s, ok := f.strategy.(isolation.Strategy); ok {
		place, err := s.Place(ctx, t)
		if err != nil {
			return err
		}
		v.place = place.Key
	}
	return nil
}

// measure sets the version that the applied migrations amount to.
func (v *visit) measure(applied map[int64]bool) {
	v.version, v.measured = 0, true
	for _, step := range v.set.steps {
		if !applied[step.version] {
			v.checksum = v.set.sumAt(v.version)
			return
		}
		v.version = step.version
	}
	v.checksum = v.set.sumAt(v.version)
	for version := range applied {
		if version > v.version { // newer code was here
			v.version, v.checksum = version, ""
		}
	}
}

// apply applies what is missing up to the target.
func (f *Fleet) apply(ctx context.Context, t tenant.Tenant, s *session, v *visit, applied map[int64]bool, partial progress) error {
	missing, err := f.missing(v, applied)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := s.ensureVersions(ctx); err != nil {
		return err
	}
	for i, step := range missing {
		if step.noTx {
			err = f.applyLoose(ctx, s, v, step, partial)
		} else {
			err = s.apply(ctx, t, step)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		applied[step.version] = true
		v.applied = append(v.applied, step.version)
		v.measure(applied)
		if step.noTx && i+1 < len(missing) {
			v.again = true // it may have left settings on the session
			return nil
		}
	}
	return nil
}

// missing returns what is to apply. A file below one that is applied came too late.
func (f *Fleet) missing(v *visit, applied map[int64]bool) ([]step, error) {
	var highest int64
	for version := range applied {
		highest = max(highest, version)
	}
	var missing []step
	for _, step := range v.set.upTo(f.target) {
		if applied[step.version] {
			continue
		}
		if step.version < highest && step.function == nil && !f.allowMissing {
			return nil, fmt.Errorf("%w: %s, since version %d is applied; renumber it, or use the option AllowMissing",
				ErrOutOfOrder, step.name, highest)
		}
		missing = append(missing, step)
	}
	return missing, nil
}

// applyLoose applies a file that is no transaction, from where it was left.
func (f *Fleet) applyLoose(ctx context.Context, s *session, v *visit, step step, p progress) error {
	if p.version != step.version {
		p = progress{version: step.version}
	}
	if p.done > len(step.statements) || sumOf(step.statements[:p.done]) != p.sum {
		return fmt.Errorf("%w: of this file, which is no transaction, the first %d statements were applied and then changed; restore them",
			ErrChanged, p.done)
	}
	for p.done < len(step.statements) {
		if err := s.run(ctx, step.statements[p.done]); err != nil {
			return fmt.Errorf("statement %d of %d, in no transaction (those before it stay; the next run goes on with it): %w",
				p.done+1, len(step.statements), err)
		}
		p.done++
		p.sum = sumOf(step.statements[:p.done])
		if err := f.ledger.advance(context.WithoutCancel(ctx), v.home.Key, p); err != nil {
			return err
		}
	}
	if err := s.run(ctx, s.record(step.version)); err != nil {
		return err
	}
	return f.ledger.advance(context.WithoutCancel(ctx), v.home.Key, progress{})
}

// sumOf identifies statements; none have "".
func sumOf(statements []string) string {
	if len(statements) == 0 {
		return ""
	}
	steps := []step{{statements: statements}}
	addSums(steps)
	return steps[0].sum
}

// isAbsent reports that a tenant has no home to migrate.
func isAbsent(err error) bool { return errors.Is(err, isolation.ErrNotProvisioned) }
