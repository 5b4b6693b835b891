package sqlitefile_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestAdministerWorksInTheTenantsFile(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme, globex)
	db, _ := pooled(t, s)
	ts := []tenant.Tenant{acme, {ID: "nobody"}, globex}
	keys, err := s.HomeKeys(t.Context(), ts)
	require.NoError(t, err)
	assert.Empty(t, keys[1])
	assert.NotEqual(t, keys[0], keys[2])

	err = s.Administer(t.Context(), acme, func(ctx context.Context, conn *sql.Conn, h isolation.Home) error {
		assert.Equal(t, isolation.Home{Key: keys[0], Dialect: "sqlite", Versions: "tenancy_version"}, h)
		_, err := conn.ExecContext(ctx, `INSERT INTO customer (name) VALUES ('ada')`)
		require.NoError(t, err)
		_, err = conn.ExecContext(ctx, `ATTACH '/tmp/other.db' AS other`)
		assert.Error(t, err, "no way into another file")
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, db, acme, `SELECT count(*) FROM customer`))
	assert.Zero(t, count(t, db, globex, `SELECT count(*) FROM customer`))
}

// TestAdministerCommitsOnlyWhatRefersToSomething loads rows in the wrong order,
// which is fine, and then an orphan, in either way that a transaction begins.
func TestAdministerCommitsOnlyWhatRefersToSomething(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	const order, customer = `INSERT INTO orders (id, customer_id, total) VALUES (?1, ?1, 10)`, `INSERT INTO customer (id, name) VALUES (?1, 'ada')`
	err := s.Administer(t.Context(), acme, func(ctx context.Context, conn *sql.Conn, _ isolation.Home) error {
		write := func(number int, queries ...string) error {
			tx, err := conn.BeginTx(ctx, nil)
			require.NoError(t, err)
			for _, q := range queries {
				_, err := tx.ExecContext(ctx, q, number)
				require.NoError(t, err)
			}
			return tx.Commit()
		}
		require.NoError(t, write(1, order, customer))
		require.ErrorContains(t, write(2, order), "not there")

		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		require.NoError(t, err)
		_, err = conn.ExecContext(ctx, order, 3)
		require.NoError(t, err)
		_, err = conn.ExecContext(ctx, "COMMIT")
		require.ErrorContains(t, err, "not there")
		_, err = conn.ExecContext(ctx, "ROLLBACK")
		return err
	})
	require.NoError(t, err)
	assert.Equal(t, 1, count(t, db, acme, `SELECT count(*) FROM orders`))
}

func TestAFileMadeAnewHasAnotherKey(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	seen := map[string]bool{}
	for range 20 {
		require.NoError(t, s.Provision(t.Context(), acme))
		keys, err := s.HomeKeys(t.Context(), []tenant.Tenant{acme})
		require.NoError(t, err)
		require.False(t, seen[keys[0]], keys[0])
		seen[keys[0]] = true
		require.NoError(t, s.Deprovision(t.Context(), acme))
	}
}

func TestAdministerWithoutAFile(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	work := func(context.Context, *sql.Conn, isolation.Home) error { return errors.New("work ran") }
	assert.ErrorIs(t, s.Administer(t.Context(), acme, work), isolation.ErrNotProvisioned)
	assert.ErrorIs(t, s.Administer(t.Context(), tenant.Tenant{ID: "../a"}, work), tenant.ErrInvalidID)
	_, err := s.HomeKeys(t.Context(), []tenant.Tenant{{ID: "../a"}})
	assert.ErrorIs(t, err, tenant.ErrInvalidID)
	provision(t, s, acme)
	assert.ErrorContains(t, s.Administer(t.Context(), acme, work), "work ran")
}
