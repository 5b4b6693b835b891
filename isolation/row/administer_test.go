package row_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestAdministerFindsTheSharedTables(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s := f.installed(t)
	keys, err := s.HomeKeys(t.Context(), []tenant.Tenant{acme, globex})
	require.NoError(t, err)
	assert.Equal(t, keys[0], keys[1], "one home for all")

	err = s.Administer(t.Context(), acme, func(ctx context.Context, conn *sql.Conn, h isolation.Home) error {
		assert.Equal(t, isolation.Home{
			Key: keys[0], Shared: true, Column: "tenant_id", Schemas: []string{"public", "app"},
			Dialect: "postgres", Versions: "tenancy_row_version",
		}, h)
		_, err := conn.ExecContext(ctx, `INSERT INTO orders VALUES ('acme', 1, 'of acme'), ('globex', 1, 'of globex')`)
		return err
	})
	require.NoError(t, err)
	assert.NotContains(t, keys[0], password)

	other := open(t, tables)
	elsewhere, err := other.strategy(t).HomeKeys(t.Context(), []tenant.Tenant{acme})
	require.NoError(t, err)
	assert.NotEqual(t, keys[0], elsewhere[0])
}

// TestAdministerLeavesNoTableOpen makes a table as the administrator, and fails.
func TestAdministerLeavesNoTableOpen(t *testing.T) {
	t.Parallel()
	f := open(t, "SELECT 1")
	s := f.strategy(t)
	stop := errors.New("stop")
	err := s.Administer(t.Context(), acme, func(ctx context.Context, conn *sql.Conn, _ isolation.Home) error {
		_, err := conn.ExecContext(ctx, `
			CREATE TABLE notes (tenant_id text NOT NULL DEFAULT tenancy.current_tenant(), id int, PRIMARY KEY (tenant_id, id));
			INSERT INTO notes VALUES ('globex', 1)`)
		return errors.Join(err, stop)
	})
	require.ErrorIs(t, err, stop)
	require.NoError(t, s.Verify(t.Context()))

	c := newSession(t, s)
	c.confine(s, acme)
	assert.Empty(t, c.column(`SELECT id FROM notes`))
	c.confine(s, globex)
	assert.Equal(t, []string{"1"}, c.column(`SELECT id FROM notes`))
}

func TestAdministerNeedsAnAdministrator(t *testing.T) {
	t.Parallel()
	f := open(t, tables)
	s, err := row.New(f.runtime)
	require.NoError(t, err)
	_, err = s.HomeKeys(t.Context(), []tenant.Tenant{acme})
	require.ErrorContains(t, err, "row.Admin")
	work := func(context.Context, *sql.Conn, isolation.Home) error { return errors.New("work ran") }
	require.ErrorContains(t, s.Administer(t.Context(), acme, work), "row.Admin")

	s = f.strategy(t)
	_, err = s.HomeKeys(t.Context(), []tenant.Tenant{acme, {ID: "a'b"}})
	require.ErrorIs(t, err, tenant.ErrInvalidID)
	require.ErrorIs(t, s.Administer(t.Context(), tenant.Tenant{ID: "A"}, work), tenant.ErrInvalidID)
}
