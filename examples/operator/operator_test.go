package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWithoutServer(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	assert.Contains(t, o.do("init"), "is written")
	assert.Contains(t, o.do("init"), "is as before")
	assert.Equal(t, exitUsage, o.try("init", "-migrations", "elsewhere").code)
	for _, tenant := range []string{"acme", "globex", "initech"} {
		assert.True(t, ask[provisionResult](o, exitOK, "provision", tenant).Created)
	}
	assert.False(t, ask[provisionResult](o, exitOK, "provision", "acme").Created)
	o.do("sample", "acme")
	assert.Equal(t, 3, ask[migrateResult](o, exitOK, "migrate").Current)
	o.do("drift")
	o.do("inspect")
	assert.Len(t, ask[tenantsResult](o, exitOK, "tenants"), 3)

	before := o.tables("acme")
	o.do("export", "acme", "-encrypt")
	assert.Contains(t, o.try("export", "acme").stderr, "-force")
	assert.Contains(t, o.try("restore", "acme.archive").stderr, "-replace")
	o.do("restore", "acme.archive", "-replace")
	assert.Equal(t, before, o.tables("acme"))

	cloned := ask[restoreResult](o, exitOK, "clone", "acme", "acme-test")
	assert.Equal(t, 20, cloned.Sealed)
	assert.Equal(t, exitFailed, o.try("clone", "acme", "globex").code, "globex is there")
	after := o.tables("acme-test")
	assert.Equal(t, before[1], after[1], "orders")
	assert.NotEqual(t, before[0], after[0], "customers have a field that is sealed for another tenant")

	text, err := os.ReadFile(filepath.Join(o.dir, "acme.archive"))
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(o.dir, "acme.archive"), text, 0o600))
	assert.Equal(t, exitFailed, o.try("restore", "acme.archive", "-replace").code)
	assert.Equal(t, before, o.tables("acme"))

	rotate(t, o, 4)
}

// TestRestoreLosesNoFieldUnasked restores an archive whose fields are sealed with a key
// that is gone.
func TestRestoreLosesNoFieldUnasked(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.do("init")
	o.do("provision", "acme")
	o.do("sample", "acme")
	o.do("export", "acme", "-encrypt")
	o.configure(`"key_ttl": "5m"`, `"key_ttl": "1ms"`)
	o.do("rotate-keys", "-max-age", "0s")
	o.do("rotate-keys", "-retire")
	o.do("sample", "acme", "-customers", "1")
	before := o.tables("acme")
	refused := o.try("restore", "acme.archive", "-replace")
	assert.Equal(t, exitFailed, refused.code)
	assert.Contains(t, refused.stderr, "20 fields in customers.email")
	assert.Contains(t, refused.stderr, "-lost-fields")
	assert.Equal(t, before, o.tables("acme"), "nothing is changed")
	assert.Equal(t, exitFailed, o.try("restore", "acme.archive", "-as", "acme-copy").code, "nor can they be sealed anew")
	assert.Empty(t, rowsOf(o.provisioned("acme-copy")), "and of the failed copy nothing is left to whoever has its name next")
	o.do("restore", "acme.archive", "-replace", "-lost-fields")
	assert.NotEqual(t, before, o.tables("acme"))
}

// TestUnfinishedTenantsBeginEmpty provisions a tenant under whose name a clone was made that
// did not become active.
func TestUnfinishedTenantsBeginEmpty(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.do("init")
	o.do("provision", "acme")
	o.do("sample", "acme")
	o.do("clone", "acme", "newco")
	control := openFile(t, filepath.Join(o.dir, "platform", "control.db"))
	_, err := control.ExecContext(t.Context(), `UPDATE tenancy_tenants SET status = 'provisioning' WHERE id = 'newco'`)
	require.NoError(t, err)
	require.NoError(t, control.Close())
	assert.Empty(t, rowsOf(o.provisioned("newco")))
	o.do("sample", "newco", "-customers", "1")
}

// provisioned makes a tenant and returns its tables.
func (o *operator) provisioned(tenant string) []archiveTable {
	o.t.Helper()
	o.do("provision", tenant)
	return o.tables(tenant)
}

// rowsOf returns the tables that have rows.
func rowsOf(tables []archiveTable) (full []archiveTable) {
	for _, t := range tables {
		if t.Rows > 0 {
			full = append(full, t)
		}
	}
	return full
}

// rotate takes the data and wrapping keys of a number of tenants through a rotation, and
// wants what was sealed before to open.
func rotate(t *testing.T, o *operator, tenants int) {
	const kinds = "wrapping,data"
	prepared := ask[rotateResult](o, exitOK, "rotate-keys", "-only", kinds, "-prepare").Wrapping
	require.Len(t, prepared.Known, 2)
	rotated := ask[rotateResult](o, exitOK, "rotate-keys", "-only", kinds, "-max-age", "0s")
	assert.NotEqual(t, prepared.Key, rotated.Wrapping.Key)
	assert.Contains(t, prepared.Known, rotated.Wrapping.Key)
	assert.Positive(t, rotated.Wrapping.Rewrapped)
	assert.Equal(t, tenants, rotated.Data.Rotated)
	assert.Positive(t, rotated.Data.Sealed)
	again := ask[rotateResult](o, exitOK, "rotate-keys", "-only", "data")
	assert.Zero(t, again.Data.Rotated, "they are young")
	assert.Zero(t, again.Data.Sealed)
	early := ask[rotateResult](o, exitOK, "rotate-keys", "-only", "data", "-retire")
	assert.Zero(t, early.Data.Retired, "another process may still seal with them")
	assert.Equal(t, tenants, early.Data.Early)
	o.configure(`"key_ttl": "5m"`, `"key_ttl": "1ms"`)
	gone := ask[rotateResult](o, exitOK, "rotate-keys", "-only", kinds, "-retire")
	assert.Equal(t, []string{prepared.Key}, gone.Wrapping.Retired)
	assert.Equal(t, tenants, gone.Data.Retired)
	o.do("rotate-keys", "-only", "data", "-max-age", "0s") // opens everything once more
}

// A migration is interrupted in the middle by Ctrl-C, and the next run goes on.
func TestInterruptedMigration(t *testing.T) {
	t.Parallel()
	const tenants = 8
	o := newOperator(t)
	o.migrations()
	o.do("init", "-migrations", "migrations")
	for i := range tenants {
		o.do("provision", fmt.Sprintf("t-%d", i))
	}
	slow := "CREATE TABLE applied (n INTEGER); INSERT INTO applied WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) SELECT count(*) FROM c"
	o.migration("00003_slow.sql", "SELECT 1", "SELECT 1", slow)

	cmd := o.command("migrate", "-workers", "1", "-json")
	var stdout strings.Builder
	cmd.Stdout = &stdout
	require.NoError(t, cmd.Start())
	control := openFile(t, filepath.Join(o.dir, "platform", "control.db"))
	tick := time.NewTicker(20 * time.Millisecond) // a process of its own cannot be waited for in another way
	defer tick.Stop()
	for migrated := 0; migrated < 2; <-tick.C {
		require.NoError(t, control.QueryRowContext(t.Context(), `SELECT count(*) FROM tenancy_fleet_homes WHERE version = 3`).Scan(&migrated))
	}
	assert.Equal(t, exitBusy, o.try("migrate").code, "one runner at a time")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait())
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), stdout.String())

	rest := ask[migrateResult](o, exitOK, "migrate")
	assert.Positive(t, rest.Migrated)
	assert.Positive(t, rest.Current)
	assert.Equal(t, tenants, rest.Migrated+rest.Current)
	for i := range tenants {
		home := openFile(t, filepath.Join(o.dir, "platform", "tenants", fmt.Sprintf("t-t-%d.db", i)))
		var n int
		require.NoError(t, home.QueryRowContext(t.Context(), `SELECT count(*) FROM applied`).Scan(&n))
		assert.Equal(t, 1, n)
	}
	o.do("drift")
}

// openFile opens a SQLite file.
func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// A home that fails stays where it was, and the exit code tells.
func TestFailingMigration(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.migrations()
	o.do("init", "-migrations", "migrations")
	o.do("provision", "acme")
	o.do("provision", "globex")
	o.do("sample", "globex", "-customers", "1", "-orders", "1")
	o.migration("00003_check.sql", "SELECT 1", "SELECT 1", "CREATE TABLE none (n INTEGER CHECK (n = 0)); INSERT INTO none SELECT count(*) FROM orders")
	for range 3 {
		failed := ask[migrateResult](o, exitIncomplete, "migrate")
		require.Len(t, failed.Failures, 1)
		assert.EqualValues(t, "globex", failed.Failures[0].Tenant)
		assert.EqualValues(t, 2, failed.Failures[0].Version)
	}
	assert.Equal(t, 1, ask[migrateResult](o, exitOK, "migrate").Quarantined)
	assert.Contains(t, o.try("export", "globex").stderr, "operator migrate first")
	assert.Equal(t, exitIncomplete, o.try("migrate", "-release", "globex").code)
	planned := o.try("migrate", "-dry-run")
	assert.Contains(t, planned.stdout, "globex")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	overview := o.do("help")
	for _, e := range commands() {
		assert.Contains(t, overview, e.name)
		help := o.do(e.name, "-h")
		assert.Equal(t, help, o.do("help", e.name))
		for line := range strings.Lines(overview + help) {
			assert.LessOrEqual(t, len([]rune(strings.TrimSuffix(line, "\n"))), 80, line)
		}
	}
	for _, wrong := range [][]string{
		{}, {"nonsense"}, {"provision"}, {"provision", "a", "b"}, {"tenants", "-nonsense"}, {"tenants"}, // no configuration
		{"help", "nonsense"}, {"inspect", "-fail-on", "never"}, {"move", "acme"}, {"rotate-keys", "-only", "all"},
	} {
		out := o.try(wrong...)
		assert.Equal(t, exitUsage, out.code, "%v: %s", wrong, out.stderr)
		assert.NotEmpty(t, out.stderr)
	}
	ask[struct{}](o, exitUsage, "tenants")
	o.do("init")
	assert.Equal(t, exitFailed, o.try("export", "nobody").code)
	assert.Contains(t, o.try("provision", "acme", "-cell", "moon").stderr, "only files")
}

func TestInterruptedBeforeItBegan(t *testing.T) {
	t.Parallel()
	o := newOperator(t)
	o.do("init")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr strings.Builder
	code := run(ctx, []string{"tenants", "-config", filepath.Join(o.dir, "platform", "operator.json")}, os.Getenv, &stdout, &stderr)
	assert.Equal(t, exitInterrupted, code)
	assert.Contains(t, stderr.String(), "goes on where it stopped")
}
