package schema_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestAdministerIsTheOwnersSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	keys, err := s.HomeKeys(t.Context(), []tenant.Tenant{tenantOf("acme"), tenantOf("nobody"), tenantOf("beta")})
	require.NoError(t, err)
	assert.Empty(t, keys[1])
	assert.NotEqual(t, keys[0], keys[2])

	err = s.Administer(t.Context(), tenantOf("acme"), func(ctx context.Context, conn *sql.Conn, h isolation.Home) error {
		assert.Equal(t, isolation.Home{
			Key: keys[0], Schemas: []string{"t_acme"}, Dialect: "postgres", Versions: "t_acme.tenancy_version",
		}, h)
		_, err := conn.ExecContext(ctx, `CREATE TABLE notes (body text); INSERT INTO orders (item) VALUES ('second')`)
		require.NoError(t, err)
		_, err = conn.ExecContext(ctx, `SELECT FROM t_beta.orders`)
		assert.ErrorContains(t, err, "permission denied", "the owner of one home is nobody in another")
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, []string{"of acme", "second"}, items(t, db, "acme"))
	assert.Equal(t, []string{"of beta"}, items(t, db, "beta"))
	_, err = db.ExecContext(in(t.Context(), "acme"), `INSERT INTO notes VALUES ('the tenant may')`)
	assert.NoError(t, err)
}

func TestAHomeMadeAnewHasAnotherKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	acme := []tenant.Tenant{tenantOf("acme")}
	none, err := s.HomeKeys(t.Context(), acme)
	require.NoError(t, err)
	assert.Equal(t, []string{""}, none, "no registry yet")
	require.NoError(t, s.Provision(t.Context(), acme[0]))
	before, err := s.HomeKeys(t.Context(), acme)
	require.NoError(t, err)
	require.NoError(t, s.Deprovision(t.Context(), acme[0]))
	none, err = s.HomeKeys(t.Context(), acme)
	require.NoError(t, err)
	assert.Equal(t, []string{""}, none)
	require.NoError(t, s.Provision(t.Context(), acme[0]))
	after, err := s.HomeKeys(t.Context(), acme)
	require.NoError(t, err)
	assert.NotEqual(t, before, after)
}

// TestAdministerKeepsRemovalWaiting removes a home while it is worked in.
func TestAdministerKeepsRemovalWaiting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
	err := s.Administer(t.Context(), tenantOf("acme"), func(ctx context.Context, conn *sql.Conn, _ isolation.Home) error {
		soon, cancel := context.WithCancel(ctx)
		removed := make(chan error)
		go func() { removed <- s.Deprovision(soon, tenantOf("acme")) }()
		// Another tenant is not kept waiting, and time enough passes in it.
		assert.NoError(t, s.Provision(ctx, tenantOf("beta")))
		select {
		case err := <-removed:
			assert.Fail(t, "the home was removed", err)
		default:
		}
		cancel()
		assert.ErrorIs(t, <-removed, context.Canceled)
		_, err := conn.ExecContext(ctx, `SELECT FROM orders`)
		return err
	})
	require.NoError(t, err)
}

func TestAdministerWithoutAHome(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	work := func(context.Context, *sql.Conn, isolation.Home) error {
		assert.Fail(t, "there is no home")
		return nil
	}
	assert.ErrorIs(t, s.Administer(t.Context(), tenantOf("acme"), work), isolation.ErrNotProvisioned)
	assert.ErrorIs(t, s.Administer(t.Context(), tenantOf(""), work), tenant.ErrInvalidID)
	_, err := s.HomeKeys(t.Context(), []tenant.Tenant{tenantOf("")})
	assert.ErrorIs(t, err, tenant.ErrInvalidID)
	bare, err := schema.New(f.app)
	require.NoError(t, err)
	_, err = bare.HomeKeys(t.Context(), []tenant.Tenant{tenantOf("acme")})
	assert.ErrorContains(t, err, "Admin")
}
