package database_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestAdministerWorksInTheTenantsDatabase(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	db := open(t, s)
	provision(t, s, db, "acme", "beta")
	ts := []tenant.Tenant{tenantOf("acme"), tenantOf("nobody"), tenantOf("beta")}
	keys, err := s.HomeKeys(t.Context(), ts)
	require.NoError(t, err)
	assert.Empty(t, keys[1])
	assert.NotEqual(t, keys[0], keys[2])

	err = s.Administer(t.Context(), ts[0], func(ctx context.Context, conn *sql.Conn, h isolation.Home) error {
		assert.Equal(t, isolation.Home{
			Key: keys[0], Schemas: []string{"public", "ledger"}, Dialect: "postgres", Versions: "public.tenancy_version",
		}, h)
		_, err := conn.ExecContext(ctx, `INSERT INTO orders (item) VALUES ('second')`)
		return err
	})
	require.NoError(t, err)
	assert.Equal(t, 2, one[int](t, in(t.Context(), "acme"), db, `SELECT count(*) FROM orders`))
	assert.Equal(t, 1, one[int](t, in(t.Context(), "beta"), db, `SELECT count(*) FROM orders`))

	require.NoError(t, s.Deprovision(t.Context(), ts[0]))
	require.NoError(t, s.Provision(t.Context(), ts[0]))
	again, err := s.HomeKeys(t.Context(), ts)
	require.NoError(t, err)
	assert.NotEqual(t, keys[0], again[0], "another database under the same name")
	assert.Equal(t, keys[2], again[2])
}

func TestAdministerWithoutAHome(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	work := func(context.Context, *sql.Conn, isolation.Home) error {
		assert.Fail(t, "there is no home")
		return nil
	}
	s := f.strategy(t)
	assert.ErrorIs(t, s.Administer(t.Context(), tenantOf("acme"), work), isolation.ErrNotProvisioned)
	assert.ErrorIs(t, s.Administer(t.Context(), tenantOf(""), work), tenant.ErrInvalidID)
	_, err := s.HomeKeys(t.Context(), []tenant.Tenant{tenantOf("")})
	assert.ErrorIs(t, err, tenant.ErrInvalidID)
	bare, err := database.New(f.app)
	require.NoError(t, err)
	_, err = bare.HomeKeys(t.Context(), []tenant.Tenant{tenantOf("acme")})
	assert.ErrorContains(t, err, "Admin")

	// A database of the tenant's name that is not marked as its own is nobody's home.
	_, err = f.root.ExecContext(t.Context(), `CREATE DATABASE "`+f.prefix+`acme"`)
	require.NoError(t, err)
	keys, err := s.HomeKeys(t.Context(), []tenant.Tenant{tenantOf("acme")})
	require.NoError(t, err)
	assert.Equal(t, []string{""}, keys)
	assert.ErrorIs(t, s.Administer(t.Context(), tenantOf("acme"), work), isolation.ErrUnsafe)
}
