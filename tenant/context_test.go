package tenant_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

type otherKey struct{}

// state reads ctx in every way there is, so that two states can be compared.
type state struct {
	tenant         tenant.Tenant
	id             tenant.ID
	reason         string
	system         bool
	errors         [2]error
	otherValueSeen bool
}

func stateOf(ctx context.Context) state {
	var s state
	s.tenant, s.errors[0] = tenant.FromContext(ctx)
	s.id, s.errors[1] = tenant.IDFromContext(ctx)
	s.reason, s.system = tenant.SystemReason(ctx)
	s.otherValueSeen = ctx.Value(otherKey{}) == "seen"
	return s
}

func TestContextStatesNeverBlur(t *testing.T) {
	t.Parallel()
	var (
		base   = context.WithValue(t.Context(), otherKey{}, "seen")
		inside = tenant.NewContext(base, acme())
		system = tenant.System(base, "nightly report")
		beta   = tenant.Tenant{ID: "tenant-beta", Slug: "beta"}

		none     = state{errors: [2]error{tenant.ErrNoTenant, tenant.ErrNoTenant}, otherValueSeen: true}
		ofAcme   = state{tenant: acme(), id: "tenant-acme", otherValueSeen: true}
		ofBeta   = state{tenant: beta, id: "tenant-beta", otherValueSeen: true}
		ofSystem = state{
			reason: "nightly report", system: true,
			errors: [2]error{tenant.ErrSystem, tenant.ErrSystem}, otherValueSeen: true,
		}
	)
	tests := []struct {
		name string
		ctx  context.Context
		want state
	}{
		{"nothing set", base, none},
		{"tenant", inside, ofAcme},
		{"system", system, ofSystem},
		{"tenant within tenant", tenant.NewContext(inside, beta), ofBeta},
		{"tenant within system", tenant.NewContext(system, acme()), ofAcme},
		{"system within tenant", tenant.System(inside, "nightly report"), ofSystem},
		{"zero tenant hides a tenant", tenant.NewContext(inside, tenant.Tenant{}), none},
		{"zero tenant hides a system", tenant.NewContext(system, tenant.Tenant{}), none},
		{"malformed ID hides a tenant", tenant.NewContext(inside, tenant.Tenant{ID: "../beta"}), none},
		{"system without a reason hides a tenant", tenant.System(inside, ""), none},
		{"system without a reason hides a system", tenant.System(system, ""), none},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, stateOf(tt.ctx))
		})
	}
}

func TestContextOuterStateIsUntouched(t *testing.T) {
	t.Parallel()
	outer := tenant.NewContext(t.Context(), acme())
	_ = tenant.System(outer, "maintenance")
	assert.Equal(t, tenant.ID("tenant-acme"), stateOf(outer).id)
}

func TestContextSystemIsNoTenant(t *testing.T) {
	t.Parallel()
	_, err := tenant.FromContext(tenant.System(t.Context(), "report"))
	require.ErrorIs(t, err, tenant.ErrSystem)
	assert.ErrorIs(t, err, tenant.ErrNoTenant)
}

func TestContextCancellationPasses(t *testing.T) {
	t.Parallel()
	cause := assert.AnError
	outer, cancel := context.WithCancelCause(t.Context())
	middle := tenant.NewContext(outer, acme())
	inner, stop := context.WithCancel(middle)
	defer stop()

	cancel(cause)
	<-inner.Done()
	require.ErrorIs(t, middle.Err(), context.Canceled)
	require.ErrorIs(t, context.Cause(inner), cause)
	assert.Equal(t, tenant.ID("tenant-acme"), stateOf(context.WithoutCancel(inner)).id)
}

func TestContextKeepsItsOwnRecord(t *testing.T) {
	t.Parallel()
	record := acme()
	ctx := tenant.NewContext(t.Context(), record)
	record.ID, record.Name = "tenant-beta", "Beta"
	assert.Equal(t, acme(), stateOf(ctx).tenant)
}
