package sqlitefile_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

// attacks are statements by which a tenant would reach other files, or the
// settings that keep it from them.
func attacks(dir string) map[string]string {
	globex, fresh := filepath.Join(dir, "t-globex.db"), filepath.Join(dir, "stolen.db")
	return map[string]string{
		"attach":                       `ATTACH '` + globex + `' AS other`,
		"attach read-only URI":         `ATTACH 'file:` + globex + `?mode=ro&immutable=1' AS other`,
		"attach expression":            `ATTACH '` + globex[:5] + `' || '` + globex[5:] + `' AS other`,
		"attach sub-select":            `ATTACH (SELECT '` + globex + `') AS other`,
		"attach nothing":               `ATTACH '' AS other`,
		"attach memory":                `ATTACH ':memory:' AS other`,
		"attach after a comment":       `/* VACUUM */ ATTACH '' AS other`,
		"attach after VACUUM":          `VACUUM; ATTACH '` + globex + `' AS other`,
		"detach":                       `DETACH main`,
		"vacuum into":                  `VACUUM INTO '` + fresh + `'`,
		"vacuum into expression":       `VACUUM main INTO '` + fresh[:5] + `' || '` + fresh[5:] + `'`,
		"vacuum into with name":        `VACUUM INTO 'file:` + fresh + `?mode=rwc'`,
		"load extension":               `SELECT load_extension('/tmp/x.so')`,
		"load extension in a trigger":  `CREATE TRIGGER bad AFTER INSERT ON customer BEGIN SELECT load_extension('x'); END; INSERT INTO customer (name) VALUES ('x')`,
		"tokenizer pointer":            `SELECT fts3_tokenizer('simple', x'0000000000000000')`,
		"writable schema":              `PRAGMA writable_schema = ON`,
		"journal mode":                 `PRAGMA journal_mode = DELETE`,
		"journal mode of main":         `PRAGMA main.journal_mode = OFF`,
		"locking mode":                 `PRAGMA locking_mode = EXCLUSIVE`,
		"synchronous":                  `PRAGMA synchronous = OFF`,
		"foreign keys":                 `PRAGMA foreign_keys = OFF`,
		"trusted schema":               `PRAGMA trusted_schema = ON`,
		"temporary directory":          `PRAGMA temp_store_directory = '/tmp'`,
		"data directory":               `PRAGMA data_store_directory = '/tmp'`,
		"memory of the whole process":  `PRAGMA hard_heap_limit = 1000`,
		"mmap":                         `PRAGMA mmap_size = 100000000`,
		"busy timeout":                 `PRAGMA busy_timeout = 0`,
		"query only":                   `PRAGMA query_only = ON`,
		"schema version":               `PRAGMA schema_version = 1`,
		"paths, by pragma":             `PRAGMA database_list`,
		"paths, by function":           `SELECT file FROM pragma_database_list`,
		"paths, by function in a view": `CREATE VIEW paths AS SELECT file FROM pragma_database_list; SELECT * FROM paths`,
		"writable schema, by function": `SELECT * FROM pragma_writable_schema(1)`,
		"journal mode, by function":    `SELECT * FROM pragma_journal_mode('delete')`,
		"schema table":                 `UPDATE sqlite_schema SET sql = '' WHERE name = 'customer'`,
		"raw pages":                    `UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 1`,
	}
}

// TestAuthorizer runs the attacks on a connection without the pool's statement
// check, so that the authorizer has to find them itself.
func TestAuthorizer(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme, globex)
	for name, attack := range attacks(dir) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := direct(t, s)
			require.Error(t, runAll(t, conn, attack), "executed")
			require.Error(t, runPrepared(t, conn, attack), "prepared")
			assert.Equal(t, int64(1), databases(t, conn), "nothing was attached")
			assert.NoFileExists(t, filepath.Join(dir, "stolen.db"))
		})
	}
}

// TestAttacksThroughThePool runs them as a host would.
func TestAttacksThroughThePool(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme, globex)
	db, _ := pooled(t, s)
	exec(t, db, globex, `INSERT INTO customer (name) VALUES ('eve')`)
	for name, attack := range attacks(dir) {
		t.Run(name, func(t *testing.T) {
			assert.Error(t, readAll(in(t, acme), db, attack))
		})
	}
	assert.Equal(t, 1, count(t, db, globex, `SELECT count(*) FROM customer`))
	assert.Equal(t, 0, count(t, db, acme, `SELECT count(*) FROM customer`))
	stray, err := s.Stray(t.Context())
	require.NoError(t, err)
	assert.Empty(t, stray)
}

func TestWhatATenantMayDo(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	for _, query := range []string{
		`INSERT INTO customer (name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT printf('name %d', i) FROM n`,
		`DELETE FROM customer WHERE id > 10`,
		`VACUUM`,
		`  vacuum main ; `,
		`ANALYZE`,
		`REINDEX`,
		`PRAGMA table_info(customer)`,
		`PRAGMA foreign_key_check`,
		`SELECT name FROM pragma_table_info('customer')`,
		`SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`,
		`CREATE TEMP TABLE scratch AS SELECT * FROM customer`,
		`CREATE VIRTUAL TABLE papers USING fts5(title, body)`,
		`INSERT INTO papers VALUES ('one', 'two three')`,
		`SELECT title FROM papers WHERE papers MATCH 'three'`,
		`CREATE VIRTUAL TABLE places USING rtree(id, x0, x1, y0, y1)`,
		`INSERT INTO places VALUES (1, 0, 1, 0, 1)`,
		`SELECT json_extract('{"a": 1}', '$.a')`,
	} {
		_, err := db.ExecContext(in(t, acme), query)
		require.NoError(t, err, query)
	}
	stmt, err := db.PrepareContext(in(t, acme), `VACUUM`)
	require.NoError(t, err)
	defer func() { assert.NoError(t, stmt.Close()) }()
	_, err = stmt.ExecContext(in(t, acme))
	require.NoError(t, err)
	assert.Equal(t, 10, count(t, db, acme, `SELECT count(*) FROM customer`))
	assert.Equal(t, "ok", text(t, db, acme, `PRAGMA integrity_check`))
}

// TestLeftovers leaves on the connection what it can, and looks for it as another
// tenant whose connection may only be opened once that one is closed.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	provision(t, s, acme, globex)
	db, pool := pooled(t, s, isolation.MaxConns(1))
	exec(t, db, acme, `CREATE TEMP TABLE secret (v TEXT)`)
	exec(t, db, acme, `CREATE TEMP VIEW customer AS SELECT 'acme' AS name`)

	exec(t, db, globex, `INSERT INTO customer (name) VALUES ('eve')`)
	assert.Equal(t, 0, count(t, db, globex, `SELECT count(*) FROM sqlite_temp_schema`))
	assert.Equal(t, "eve", text(t, db, globex, `SELECT name FROM customer`))
	assert.Equal(t, 1, pool.Stats().Open)
}

// readAll runs a query and reads its rows to their end.
func readAll(ctx context.Context, db *sql.DB, query string) (err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for more := true; more; {
		more = rows.Next()
	}
	return rows.Err()
}

// direct returns a connection of acme's as the strategy opens it.
func direct(t testing.TB, s *sqlitefile.Strategy) driver.Conn {
	t.Helper()
	place, err := s.Place(t.Context(), acme)
	require.NoError(t, err)
	conn, err := place.Connector.Connect(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	return conn
}

// runAll runs a query with each of a connection's methods, and returns an error
// only if all of them failed.
func runAll(t testing.TB, conn driver.Conn, query string) error {
	t.Helper()
	execer, ok := conn.(driver.ExecerContext)
	require.True(t, ok)
	_, execErr := execer.ExecContext(t.Context(), query, nil)
	queryer, ok := conn.(driver.QueryerContext)
	require.True(t, ok)
	rows, queryErr := queryer.QueryContext(t.Context(), query, nil)
	if queryErr == nil {
		queryErr = drain(rows)
	}
	return bothFailed(execErr, queryErr)
}

func runPrepared(t testing.TB, conn driver.Conn, query string) error {
	t.Helper()
	stmt, err := conn.(driver.ConnPrepareContext).PrepareContext(t.Context(), query)
	if err != nil {
		return err
	}
	defer func() { assert.NoError(t, stmt.Close()) }()
	_, execErr := stmt.(driver.StmtExecContext).ExecContext(t.Context(), nil)
	rows, queryErr := stmt.(driver.StmtQueryContext).QueryContext(t.Context(), nil)
	if queryErr == nil {
		queryErr = drain(rows)
	}
	return bothFailed(execErr, queryErr)
}

func bothFailed(a, b error) error {
	if a == nil || b == nil {
		return nil
	}
	return a
}

// databases returns how many databases a connection has open, as its bare self
// sees it.
func databases(t testing.TB, conn driver.Conn) int64 {
	t.Helper()
	return firstInt(t, conn, `SELECT count(DISTINCT schema) FROM pragma_table_list WHERE schema <> 'temp'`)
}

func text(t testing.TB, db *sql.DB, who tenant.Tenant, query string) string {
	t.Helper()
	var s string
	require.NoError(t, db.QueryRowContext(in(t, who), query).Scan(&s))
	return s
}

func TestFileThatIsNoDatabase(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "t-acme.db"), []byte("not a database, whatever its name says; more than a header long………"), 0o600))
	db, _ := pooled(t, s)
	_, err := db.ExecContext(in(t, acme), `SELECT 1`)
	require.ErrorContains(t, err, "not a database")
	assert.NotErrorIs(t, err, isolation.ErrNotProvisioned)
	assert.Error(t, s.Provision(t.Context(), acme), "a file that exists is never replaced")
}
