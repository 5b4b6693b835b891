package quota

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

// Plan returns the plan of ctx's tenant, as [Account.Plan] does, also to whoever answers
// for [WithLevels]: there the plan is known, and the account is not yet. So it is what
// to ask in a database's isolation.LimitsBy, where levels are read from that database.
func (e *Enforcer) Plan(ctx context.Context) (*Resolved, error) {
	t, err := tenant.FromContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("quota: %w", err)
	}
	a := e.account(t.ID)
	if s := a.state.Load(); s != nil && e.clk.rough() < s.fresh && s.serves(&t) {
		return s.plan.Resolved, nil
	}
	if l := learningOf(ctx); l.account == a {
		return l.plan.Resolved, nil
	}
	if err := a.refresh(ctx, t); err != nil {
		return nil, err
	}
	return a.Plan(), nil
}

// learning is an account whose plan is known, and whose levels are being asked for.
type learning struct {
	account *Account
	plan    *compiled
}

type learningKey struct{}

// in returns ctx for the question for levels.
func (l learning) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, learningKey{}, l)
}

func learningOf(ctx context.Context) learning {
	l, _ := ctx.Value(learningKey{}).(learning)
	return l
}

// waitsForItself returns an error if whoever asks for a is on the way of the answer.
func (a *Account) waitsForItself(ctx context.Context) error {
	if learningOf(ctx).account != a {
		return nil
	}
	return fmt.Errorf("%w: account of tenant %s: its levels are being asked for, which waits for itself; ask Enforcer.Plan for the plan", ErrUnavailable, a.id)
}
