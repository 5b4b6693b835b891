package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive"
)

func TestEveryStrategy(t *testing.T) {
	t.Parallel()
	o, s := onServer(t)
	o.migrations()
	o.do("init", "-prefix", s.prefix, "-migrations", "migrations")
	homes := map[string]string{"acme": "rows", "globex": "rows", "initech": "schemas", "hooli": "databases", "umbrella": "files"}
	for tenant, cell := range homes {
		o.do("provision", tenant, "-cell", cell)
		o.do("sample", tenant, "-customers", "3")
	}

	t.Run("migrate", func(t *testing.T) {
		o := on(o, t)
		const column = "ALTER TABLE orders ADD COLUMN note text NOT NULL DEFAULT ''"
		o.migration("00003_note.sql", column, column, column)
		planned := ask[planResult](o, exitOK, "migrate", "-dry-run")
		assert.Len(t, planned, 4, "acme and globex share a home")
		done := ask[migrateResult](o, exitOK, "migrate")
		assert.Equal(t, 4, done.Migrated)
		assert.Equal(t, int64(3), done.Version)
		for _, line := range ask[tenantsResult](o, exitOK, "tenants") {
			assert.Equal(t, int64(3), line.Version, line.Tenant)
			assert.Equal(t, homes[string(line.Tenant)], line.Cell)
		}
		assert.Contains(t, o.do("migrate"), "0 homes brought to version 3")
	})

	t.Run("drift", func(t *testing.T) {
		o := on(o, t)
		assert.Empty(t, ask[driftResult](o, exitOK, "drift", "-save", "reference.json").Deviations)
		s.exec("_schemas", `CREATE INDEX by_hand ON t_initech.orders (cents)`)
		drifted := ask[driftResult](o, exitFound, "drift", "-reference", "reference.json")
		require.Len(t, drifted.Deviations, 1)
		assert.EqualValues(t, "initech", drifted.Deviations[0].Tenant)
		require.Len(t, drifted.Deviations[0].Differences, 1)
		assert.Contains(t, drifted.Deviations[0].Differences[0].Object, "by_hand")
		s.exec("_schemas", `DROP INDEX t_initech.by_hand`)
		o.do("drift", "-reference", "reference.json")
	})

	t.Run("inspect", func(t *testing.T) {
		o := on(o, t)
		o.do("inspect")
		s.exec("_rows", `ALTER TABLE orders DISABLE ROW LEVEL SECURITY`)
		holes := ask[inspectResult](o, exitFound, "inspect", "-fail-on", "critical")
		assert.Positive(t, holes.Findings)
		require.Len(t, holes.Cells, 4)
		assert.NotEmpty(t, holes.Cells[0].Reports[0].Findings[0].Remedy)
		s.exec("_rows", `ALTER TABLE orders ENABLE ROW LEVEL SECURITY`)
		o.do("inspect")
	})

	t.Run("move", func(t *testing.T) {
		o := on(o, t)
		before, neighbour := o.tables("acme"), o.tables("globex")
		for _, cell := range []string{"schemas", "databases", "files", "rows"} {
			moved := ask[moveResult](o, exitOK, "move", "acme", cell, "-grace", "0s")
			require.Len(t, moved, 1)
			assert.Equal(t, archive.Done, moved[0].Step)
			assert.EqualValues(t, 18, moved[0].Rows)
			assert.Equal(t, before, o.tables("acme"), cell)
			o.do("inspect") // what stays on shared tables, to keep late writers out, is no hole
		}
		assert.Equal(t, neighbour, o.tables("globex"))
		assert.Empty(t, ask[moveResult](o, exitOK, "move"))
		o.do("inspect")
		o.do("drift")
	})

	t.Run("grace and rollback", func(t *testing.T) {
		o := on(o, t)
		assert.NotNil(t, ask[moveResult](o, exitOK, "move", "initech", "databases")[0].Kept)
		assert.Contains(t, o.try("move", "-rollback", "initech").stderr, "move it back instead")
		assert.Contains(t, o.try("move", "initech", "files").stderr, "move -finish")
		assert.Equal(t, archive.Flipped, ask[moveResult](o, exitOK, "move", "-finish", "-grace", "0s")[0].Step, "its grace is what the move began with")
		assert.Contains(t, o.try("move", "-finish", "initech").stderr, "is kept until")
		assert.Equal(t, archive.Done, ask[moveResult](o, exitOK, "move", "-finish", "-now", "initech")[0].Step)
		assert.Contains(t, o.do("move"), "no moves under way")
	})

	t.Run("clone, export and restore", func(t *testing.T) {
		o := on(o, t)
		o.do("clone", "acme", "acme-test", "-cell", "databases")
		assert.EqualValues(t, 18, ask[restoreResult](o, exitOK, "clone", "acme-test", "acme-copy", "-cell", "files").Rows)
		before := o.tables("acme")
		o.do("export", "acme", "-encrypt")
		o.do("sample", "acme")
		assert.NotEqual(t, before, o.tables("acme"))
		assert.Equal(t, exitFailed, o.try("restore", "acme.archive").code)
		o.do("restore", "acme.archive", "-replace")
		assert.Equal(t, before, o.tables("acme"))
	})

	t.Run("rotate keys", func(t *testing.T) {
		o := on(o, t)
		rotate(t, o, 7)
		signing := ask[rotateResult](o, exitOK, "rotate-keys", "-only", "signing").Signing
		require.Len(t, signing, 1)
		assert.Len(t, signing[0].Known, 2)
		o.do("sample", "acme", "-customers", "1") // sealed by the new key
		assert.Len(t, ask[rotateResult](o, exitOK, "rotate-keys", "-only", "signing", "-retire").Signing[0].Retired, 1)
		o.do("sample", "acme", "-customers", "1")
		o.do("inspect")
	})
}

// on returns o for a subtest.
func on(o *operator, t *testing.T) *operator {
	mine := *o
	mine.t = t
	return &mine
}
