package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// asOperator makes the test binary be the program.
const asOperator = "OPERATOR_IS_TESTED"

func TestMain(m *testing.M) {
	if os.Getenv(asOperator) != "" {
		main()
	}
	os.Exit(pgtest.Run(m))
}

// operator is a platform in a folder of its own, whose commands are real processes.
type operator struct {
	t   testing.TB
	dir string
	env []string
}

func newOperator(t testing.TB, env ...string) *operator {
	t.Helper()
	o := &operator{t: t, dir: t.TempDir(), env: []string{asOperator + "=1"}}
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		o.env = append(o.env, name+"="+os.Getenv(name))
	}
	o.env = append(o.env, env...)
	return o
}

// onServer returns a platform with a cell of every strategy, all of whose databases and
// roles are removed in the end.
func onServer(t testing.TB) (*operator, *server) {
	t.Helper()
	db := pgtest.Open(t)
	admin, err := postgres.NewConnector(db.URL())
	require.NoError(t, err)
	s := &server{t: t, admin: admin, root: sql.OpenDB(admin), prefix: pgtest.Name(t, "o")}
	t.Cleanup(s.remove)
	return newOperator(t, serverVariable+"="+db.URL()), s
}

// server is the PostgreSQL server of a test.
type server struct {
	t      testing.TB
	admin  *postgres.Connector
	root   *sql.DB
	prefix string
}

// exec runs SQL as a superuser in one of the platform's databases.
func (s *server) exec(database, query string) {
	s.t.Helper()
	db := sql.OpenDB(s.admin.WithDatabase(s.prefix + database))
	_, err := db.ExecContext(s.t.Context(), query)
	require.NoError(s.t, errors.Join(err, db.Close()))
}

func (s *server) remove() {
	ctx := context.WithoutCancel(s.t.Context())
	for _, find := range []string{
		`SELECT format('ALTER DATABASE %I IS_TEMPLATE false', datname) FROM pg_database WHERE starts_with(datname, $1)`,
		`SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE starts_with(datname, $1)`,
	} {
		for _, statement := range s.statements(ctx, find) {
			_, err := s.root.ExecContext(ctx, statement)
			assert.NoError(s.t, err)
		}
	}
	assert.NoError(s.t, s.root.Close())
}

// statements returns what a query makes of the prefix.
func (s *server) statements(ctx context.Context, query string) (made []string) {
	s.t.Helper()
	rows, err := s.root.QueryContext(ctx, query, s.prefix)
	require.NoError(s.t, err)
	defer rows.Close()
	for rows.Next() {
		var statement string
		require.NoError(s.t, rows.Scan(&statement))
		made = append(made, statement)
	}
	require.NoError(s.t, rows.Err())
	return made
}

// output is what a command left behind.
type output struct {
	stdout, stderr string
	code           int
}

// command is a command that was not started yet. It is killed when the test ends.
func (o *operator) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(o.t.Context(), os.Args[0], args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = o.dir, o.env, time.Second
	return cmd
}

// try runs a command.
func (o *operator) try(args ...string) output {
	o.t.Helper()
	cmd := o.command(args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(o.t, err)
	}
	return output{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// do runs a command that is to succeed, and returns what it prints.
func (o *operator) do(args ...string) string {
	o.t.Helper()
	out := o.try(args...)
	require.Equal(o.t, exitOK, out.code, "operator %s\n%s%s", strings.Join(args, " "), out.stdout, out.stderr)
	return out.stdout
}

// answer is a document with the result still to be read.
type answer struct {
	Command string
	Exit    int
	Error   string
	Result  json.RawMessage
}

// ask runs a command with -json, which is to end with code, and reads its result.
func ask[T any](o *operator, code int, args ...string) T {
	o.t.Helper()
	out := o.try(append(args, "-json")...)
	require.Equal(o.t, code, out.code, "operator %s\n%s%s", strings.Join(args, " "), out.stdout, out.stderr)
	var a answer
	d := json.NewDecoder(strings.NewReader(out.stdout))
	require.NoError(o.t, d.Decode(&a), out.stdout)
	assert.False(o.t, d.More(), "one document")
	assert.Equal(o.t, args[0], a.Command)
	assert.Equal(o.t, code, a.Exit)
	assert.Equal(o.t, code == exitOK, a.Error == "", a.Error)
	var result T
	if len(a.Result) > 0 {
		require.NoError(o.t, json.Unmarshal(a.Result, &result), out.stdout)
	}
	return result
}

// tables exports a tenant and returns the hashes of its tables.
func (o *operator) tables(tenant string) []archiveTable {
	o.t.Helper()
	return ask[exportResult](o, exitOK, "export", tenant, "-o", filepath.Join(o.t.TempDir(), "archive")).Tables
}

// migrations gives the platform a folder with the program's migrations, which a test
// adds to.
func (o *operator) migrations() {
	o.t.Helper()
	files, err := appMigrations()
	require.NoError(o.t, err)
	require.NoError(o.t, os.CopyFS(filepath.Join(o.dir, "platform", "migrations"), files))
}

// migration adds a file for each kind of home.
func (o *operator) migration(name, shared, own, sqlite string) {
	o.t.Helper()
	for folder, text := range map[string]string{"shared": shared, "own": own, "sqlite": sqlite} {
		path := filepath.Join(o.dir, "platform", "migrations", folder, name)
		require.NoError(o.t, os.WriteFile(path, []byte("-- +goose Up\n"+text+";\n"), 0o600))
	}
}

// configure changes the configuration file.
func (o *operator) configure(before, after string) {
	o.t.Helper()
	path := filepath.Join(o.dir, "platform", "operator.json")
	text, err := os.ReadFile(path)
	require.NoError(o.t, err)
	require.Contains(o.t, string(text), before)
	require.NoError(o.t, os.WriteFile(path, []byte(strings.Replace(string(text), before, after, 1)), 0o600))
}
