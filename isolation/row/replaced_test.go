package row_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestReplacedStatementsServeNobody has SQL of one tenant put other statements in the
// place of those that the pool prepared, which outlive the tenant: the next gets its own
// rows, by statements of its own.
func TestReplacedStatementsServeNobody(t *testing.T) {
	t.Parallel()
	f := open(t, tables+`
		CREATE FUNCTION replace() RETURNS int LANGUAGE plpgsql AS $$
		DECLARE old name;
		BEGIN
			FOR old IN SELECT name FROM pg_prepared_statements LOOP
				EXECUTE format('DEALLOCATE %I', old);
				EXECUTE format('PREPARE %I (int) AS SELECT ''forged'' WHERE $1 > 0', old);
			END LOOP;
			RETURN (SELECT count(*) FROM pg_prepared_statements);
		END $$`)
	s := f.installed(t)
	pool, err := isolation.New(s, isolation.MaxConns(1))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { require.NoError(t, db.Close()) })

	titles := func(who tenant.Tenant) (title string) {
		t.Helper()
		require.NoError(t, db.QueryRowContext(tenant.NewContext(t.Context(), who), `SELECT title FROM orders WHERE id = $1`, 1).Scan(&title))
		return title
	}
	for _, who := range []tenant.Tenant{acme, globex} {
		_, err := db.ExecContext(tenant.NewContext(t.Context(), who), `INSERT INTO orders (id, title) VALUES ($1, $2)`, 1, "of "+who.ID.String())
		require.NoError(t, err)
	}
	for range 3 {
		assert.Equal(t, "of acme", titles(acme))
	}
	var replaced int
	require.NoError(t, db.QueryRowContext(tenant.NewContext(t.Context(), acme), `SELECT replace()`).Scan(&replaced))
	require.NotZero(t, replaced, "the query was prepared")
	for range 3 {
		assert.Equal(t, "of globex", titles(globex))
		assert.Equal(t, "of acme", titles(acme))
	}
}
