package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"iter"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// Step is what a run would do in one home.
type Step struct {
	Tenant  tenant.ID // of a shared home, the tenant by whom it was found
	Home    string    // isolation.Home.Key
	Kind    Kind
	From    int64    // version that the home has
	Apply   []string // names of files and functions, in order
	Problem error    // why the run would fail there, or nil
}

// Plan returns what [Fleet.Run] would do, home by home, without doing it: neither
// homes nor ledger change. (Row mode's own functions and policies are brought to
// order, as by every visit.) It looks into each home that the ledger does not know to
// be current, one at a time.
func (f *Fleet) Plan(ctx context.Context, tenants Tenants) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		r := &run{Fleet: f, tenants: tenants}
		var err error
		if r.homes, err = f.ledger.load(ctx); err == nil {
			_, err = r.walk(ctx, func(j job) bool {
				s := f.foresee(ctx, j)
				if s.Problem == nil && len(s.Apply) == 0 {
					return true
				}
				return yield(s, nil)
			})
		}
		if err != nil {
			yield(Step{}, err)
		}
	}
}

// foresee looks into a home.
func (f *Fleet) foresee(ctx context.Context, j job) Step {
	s := Step{Tenant: j.tenant.ID, Home: j.key}
	s.Problem = f.administer(ctx, j.tenant, func(ctx context.Context, conn *sql.Conn, home isolation.Home, inside func() error) error {
		if err := inside(); err != nil {
			return err
		}
		v := &visit{}
		if err := f.identify(ctx, j.tenant, home, v); err != nil {
			return err
		}
		applied, err := newSession(conn, home, f.config).applied(ctx)
		if err != nil {
			return err
		}
		v.measure(applied)
		s.Kind, s.From = v.kind, v.version
		missing, err := f.missing(v, applied)
		for _, step := range missing {
			s.Apply = append(s.Apply, step.name)
		}
		return err
	})
	return s
}

// String tells s in one line.
func (s Step) String() string {
	if s.Problem != nil {
		return fmt.Sprintf("%s (%s): %v", s.Tenant, s.Kind, s.Problem)
	}
	return fmt.Sprintf("%s (%s): from version %d: %v", s.Tenant, s.Kind, s.From, s.Apply)
}
