package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestSelftestOnSQLite(t *testing.T) {
	t.Parallel()
	selftestWith(t, "-dir", t.TempDir())
}

func TestSelftestOnPostgres(t *testing.T) {
	for _, mode := range []string{"row", "schema", "database"} {
		t.Run(mode, func(t *testing.T) {
			db := pgtest.Open(t)
			selftestWith(t, "-database", db.URL(), "-isolation", mode)
		})
	}
}

func selftestWith(t *testing.T, args ...string) {
	t.Helper()
	var out, log bytes.Buffer
	err := run(t.Context(), append([]string{"-selftest"}, args...), &out, &log)
	require.NoError(t, err, "%s\n%s", out.String(), log.String())
	assert.Contains(t, out.String(), "PASSED: ")
}

func TestRunRefusesBadFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-nonsense"},
		{"stray"},
		{"-database", "mysql://localhost/x"},
		{"-dir", os.DevNull + "/x"},
	} {
		assert.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
}
