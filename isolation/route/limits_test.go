package route_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

// Of a router's cells some may limit sessions, and some not.
func TestLimitsByCell(t *testing.T) {
	t.Parallel()
	dir := files(t, nil)
	connector, err := postgres.NewConnector("postgres://app@localhost/saas")
	require.NoError(t, err)
	rows, err := row.New(connector)
	require.NoError(t, err)
	slow := isolation.LimitsBy(func(context.Context, tenant.Tenant) (isolation.Limits, error) {
		return isolation.Limits{StatementTimeout: time.Second}, nil
	})
	all := route.RuleFunc(func(context.Context, tenant.Tenant) (string, error) { return "files", nil })

	r, err := route.New([]route.Cell{{Name: "files", Strategy: dir}}, all)
	require.NoError(t, err)
	_, err = isolation.New(r, slow)
	require.ErrorIs(t, err, isolation.ErrNoLimiter)
	require.ErrorContains(t, err, "cell files")

	r, err = route.New([]route.Cell{{Name: "files", Strategy: dir}, {Name: "rows", Strategy: rows}}, all)
	require.NoError(t, err)
	pool, err := isolation.New(r, slow)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	defer db.Close()
	ctx := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme"})
	require.ErrorIs(t, db.PingContext(ctx), isolation.ErrNoLimiter)
	require.ErrorIs(t, r.ConfineWithin(ctx, nil, tenant.Tenant{ID: "acme"}, isolation.Limits{}), isolation.ErrUnsafe)

	_, err = r.Size(ctx, tenant.Tenant{ID: "acme"})
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	require.NoError(t, r.Provision(ctx, tenant.Tenant{ID: "acme"}))
	size, err := r.Size(ctx, tenant.Tenant{ID: "acme"})
	require.NoError(t, err)
	assert.Positive(t, size)
}
