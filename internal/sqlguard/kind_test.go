package sqlguard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

func TestIsPlain(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		`SELECT 1`, `select 1;`, ` -- why
			/* what /* nested */ */ SELECT 1`, `(SELECT 1) UNION (SELECT 2)`, `WITH x AS (SELECT 1) SELECT * FROM x`,
		`INSERT INTO t VALUES ('; ROLLBACK')`, `UPDATE t SET x = 1; DELETE FROM t;`, `VALUES (1)`, `TABLE t`,
		`MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE`, `SELECT $x$; COMMIT $x$`,
	} {
		assert.True(t, sqlguard.IsPlain(query), query)
	}
	for _, query := range []string{
		``, `;`, `-- nothing`, `CALL p()`, `/* SELECT */ CALL p()`, `SELECT 1; CALL p()`, `SELECT 1; ROLLBACK`, `DO $$ $$`, `BEGIN`,
		`"SELECT" 1`, `SELECTED`, `EXPLAIN ANALYZE SELECT 1`, `VACUUM`, `; ; CALL p()`, `SELECT 1;; commit`, "SELECT '\\'; CALL p() --'",
	} {
		assert.False(t, sqlguard.IsPlain(query), query)
	}
}

func TestIsQuery(t *testing.T) {
	t.Parallel()
	for _, query := range []string{`SELECT 1`, `(select 1) UNION VALUES (2)`, `/* why */ TABLE t`, `VALUES (1); SELECT 2`} {
		assert.True(t, sqlguard.IsQuery(query), query)
	}
	for _, query := range []string{``, `INSERT INTO t VALUES (1)`, `WITH x AS (DELETE FROM t) SELECT 1`, `SELECT 1; DELETE FROM t`, `MERGE INTO t`, `CALL p()`} {
		assert.False(t, sqlguard.IsQuery(query), query)
	}
}

func TestIsConstant(t *testing.T) {
	t.Parallel()
	for _, query := range []string{
		``, `SELECT title FROM orders WHERE id = $1`, `SELECT "Title" FROM a1.b2 WHERE x->>$12 = ANY ($2::text[]) ORDER BY c LIMIT 50 OFFSET 7`,
		`SELECT a FROM t FETCH FIRST 10 ROWS ONLY`, `UPDATE t SET n = n + $1`, `INSERT INTO t (a, b) VALUES ($1, $2) RETURNING *`,
	} {
		assert.True(t, sqlguard.IsConstant(query), query)
	}
	for _, query := range []string{
		`SELECT 'x'`, `SELECT 1`, `SELECT a FROM t WHERE n = 4111 AND m = $1`, `SELECT E'x'`, `SELECT $$x$$`, `SELECT $q$x$q$`, `SELECT B'1'`,
		`SELECT a FROM t -- of acme`, `SELECT /* acme */ a FROM t`, `SELECT a FROM t WHERE x > 1.5`, `SELECT .5`, `SELECT a LIMIT 5, 6`, `SELECT a FROM t WHERE n=-5`,
		`SELECT U&'x'`, `SELECT a FROM t LIMIT 5.5`,
	} {
		assert.False(t, sqlguard.IsConstant(query), query)
	}
}

// FuzzIsPlain holds that what is plain passes the guard, and stays so behind another
// plain statement.
func FuzzIsPlain(f *testing.F) {
	f.Add(`SELECT 1; CALL p()`)
	f.Add(`WITH x AS (SELECT ';') TABLE x`)
	f.Fuzz(func(t *testing.T, query string) {
		if !sqlguard.IsPlain(query) {
			return
		}
		assert.NoError(t, sqlguard.Postgres(query, false))
		assert.True(t, sqlguard.IsPlain("SELECT 1;"+query))
		assert.False(t, sqlguard.IsPlain("CALL p();"+query))
	})
}

// FuzzIsConstant holds that a literal is seen wherever it stands.
func FuzzIsConstant(f *testing.F) {
	f.Add(`SELECT a FROM t LIMIT 5`)
	f.Fuzz(func(t *testing.T, query string) {
		assert.False(t, sqlguard.IsConstant("SELECT 'x' "+query))
		if sqlguard.IsConstant(query) {
			assert.False(t, strings.ContainsRune(strings.ReplaceAll(query, `"`, ""), '\'') && !strings.ContainsRune(query, '"'), query)
		}
	})
}
