package sqlguard_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

func TestPostgresRefuses(t *testing.T) {
	queries := []string{
		"BEGIN", " begin;", "\n\tBeGiN", "start transaction", "commit", "END", "abort",
		"ROLLBACK", "rollback work", "ROLLBACK TRANSACTION", "rollback and chain", "commit prepared 'x'",
		"SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", // outside a transaction
		"SET search_path = x", "set local role x", "SET LOCAL tenancy.tenant = 'b'", "SET SESSION AUTHORIZATION x",
		"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET LOCAL search_path TO x", `SET LOCAL "role" TO x`,
		"RESET ALL", "DISCARD ALL", "LISTEN c", "UNLISTEN *", "LOAD 'x'",
		"PREPARE p AS SELECT 1", "PREPARE TRANSACTION 'x'", "EXECUTE p", "DEALLOCATE ALL",
		"DECLARE c CURSOR WITH HOLD FOR SELECT 1",
		";;; SET x = 1", "/* a */ SET x = 1", "/* /* */ */ RESET ALL", "-- hi\nBEGIN", "--\rBEGIN", "--\r\n  BEGIN",
		"SELECT 1; SET x = 1", "SELECT 1;\n-- x;\n RESET ALL;", "SELECT ';'; BEGIN", `SELECT ";"; BEGIN`,
		"SELECT $$;$$; BEGIN", "SELECT $a$ $$ ; $b$ $a$; BEGIN", "SELECT 'it''s;'; BEGIN",
		`SELECT E'\';'; BEGIN`, `SELECT e'\\'; BEGIN`, `SELECT '\'; BEGIN`, `SELECT E'a'` + "\n" + `'\';'; BEGIN`,
		`SELECT E'a' -- c` + "\n" + `'\';'; BEGIN`, `SELECT E'a' '\'; BEGIN`, `SELECT U&'\'; BEGIN`, `SELECT U&"\"; BEGIN`,
		"SELECT a$b$; BEGIN; SELECT $b$", "SELECT $1; BEGIN", "SELECT 1$a$;$a$; BEGIN", "SELECT 1 /* ; */; BEGIN",
		"SELECT 'unclosed /* '; BEGIN --", "WITH x AS (SELECT 1) SELECT 1; BEGIN", "INSERT INTO t VALUES (1); COMMIT",
		"SELECT 2 */* ; */ 3; BEGIN",
		"ALTER ROLE CURRENT_USER PASSWORD 'x'", "alter user app set role = x", "ALTER SYSTEM SET x = 1", "ALTER DATABASE d SET x = 1",
		"CREATE ROLE x", "DROP USER x", "DROP OWNED BY x", "REASSIGN OWNED BY x TO y", "GRANT x TO y", "REVOKE x FROM y", "DO $$BEGIN END$$",
	}
	for _, query := range queries {
		err := sqlguard.Postgres(query, false)
		assert.ErrorAs(t, err, new(*sqlguard.Error), query)
	}
}

func TestPostgresAllows(t *testing.T) {
	queries := []string{
		"", ";", "SELECT 1", "select * from begin_log", "WITH x AS (SELECT 1) SELECT * FROM x", "(SELECT 1) UNION (SELECT 2)",
		"SELECT 'a; BEGIN'", `SELECT "; BEGIN"`, "SELECT $$; BEGIN $$", "SELECT $a$; BEGIN; $b$; SET $a$", "SELECT 1 -- ; BEGIN",
		"SELECT 1 /* ; BEGIN /* */ ; SET */", `SELECT E'\'; BEGIN'`, `SELECT E'a'` + "\n" + `'\'; BEGIN'`, "UPDATE t SET a = 1",
		"INSERT INTO t(a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = 2", "SELECT 1; SELECT 2; DELETE FROM t", `COPY "t" ("a") FROM STDIN`,
		"NOTIFY c, 'x'", "LOCK TABLE t", "SET CONSTRAINTS ALL DEFERRED", "SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = '1s'",
		"set local Lock_Timeout to 10", "SELECT '; BEGIN", "SELECT $x$; BEGIN", "/* ; BEGIN", "BEGINNING", "begin$$", "EXPLAIN SELECT 1",
		"ALTER TABLE t ADD c int", "CREATE INDEX ON t (c)", "DROP TABLE t", "INSERT INTO t DEFAULT VALUES ON CONFLICT DO NOTHING",
		"SELECT a$b$ , 1 AS $b", "TRUNCATE t", "CREATE TABLE begin (a int)",
	}
	for _, query := range queries {
		assert.NoError(t, sqlguard.Postgres(query, false), query)
	}
	for _, query := range []string{"SAVEPOINT s", "RELEASE SAVEPOINT s", "ROLLBACK TO s", "rollback work to savepoint s", "ROLLBACK TRANSACTION TO s"} {
		assert.NoError(t, sqlguard.Postgres(query, true), query)
	}
}

func TestSQLiteRefuses(t *testing.T) {
	queries := []string{
		"BEGIN IMMEDIATE", "commit", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s",
		"ATTACH 'x' AS y", "detach y", "PRAGMA journal_mode = delete", "PRAGMA main.user_version(3)", "PRAGMA foreign_keys=off",
		`PRAGMA "journal_mode"=off`, "PRAGMA [journal_mode]=off", "PRAGMA `journal_mode`=off", "PRAGMA", "PRAGMA other.table_info(x)",
		"\ufeffBEGIN", "\ufeff ATTACH 'x' AS y", "/* /* */ BEGIN", "SELECT `;`; BEGIN", "SELECT [;]; BEGIN", "SELECT [;`]; BEGIN --`",
		"SELECT '\\'; BEGIN", "SELECT $$; BEGIN", "SELECT 1; -- ;\nATTACH 'x' AS y", "-- \r BEGIN \n COMMIT",
		"INSERT INTO t VALUES ($a(')); BEGIN; INSERT INTO t VALUES (2); --'", "SELECT @a::b('); BEGIN; --'", "SELECT :a('); BEGIN --'", "SELECT #a('); BEGIN --'",
	}
	for _, query := range queries {
		err := sqlguard.SQLite(query, false)
		assert.ErrorAs(t, err, new(*sqlguard.Error), query)
	}
}

func TestSQLiteAllows(t *testing.T) {
	queries := []string{
		"SELECT 1", "PRAGMA table_info(notes)", "PRAGMA main.index_list('x')", "pragma foreign_key_check", "REPLACE INTO t VALUES (1)",
		"SELECT $a(;BEGIN)", "SELECT $a, :b, @c, #d, ?1", "SELECT '$a('", "SELECT $a('; BEGIN",
		"-- \r BEGIN", "SELECT [; BEGIN]", "SELECT `; BEGIN`", "/* /* */ SELECT 1", "VACUUM", "/* ; BEGIN",
	}
	for _, query := range queries {
		assert.NoError(t, sqlguard.SQLite(query, false), query)
	}
	assert.NoError(t, sqlguard.SQLite("SAVEPOINT s", true))
}

func TestErrorSaysWhatToDo(t *testing.T) {
	err := sqlguard.Postgres("select 1; set local search_path = x", true)
	require.Error(t, err)
	assert.Equal(t, "SET LOCAL SEARCH_PATH: the pool owns the session; only timeouts and the like may be set, with SET LOCAL", err.Error())
}

// FuzzPostgres checks that a control statement is found behind any complete
// statement, and that no text makes the lexer stall or panic.
func FuzzPostgres(f *testing.F) {
	for _, seed := range []string{"SELECT 1", "SELECT E'\\''", "SELECT $a$;$a$", "/* /* */", "'", "\"a", "$", "--", "U&'\\'", "e'\n'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		_ = sqlguard.SQLite(query, false)
		if sqlguard.Postgres(query, false) == nil && !strings.ContainsAny(query, "'\"$/\\-[`") {
			require.Error(t, sqlguard.Postgres(query+";BEGIN", false), query)
			require.Error(t, sqlguard.SQLite(query+";BEGIN", false), query)
		}
	})
}

func BenchmarkPostgres(b *testing.B) {
	query := "SELECT id, title, body FROM documents WHERE owner = $1 AND created_at > $2 ORDER BY created_at DESC LIMIT 50"
	b.ReportAllocs()
	for b.Loop() {
		_ = sqlguard.Postgres(query, false)
	}
}
