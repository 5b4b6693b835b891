package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestSelftestOnSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	selftestWith(t, "-dir", dir)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left, "the self-test removes what it made")
}

func TestSelftestOnPostgres(t *testing.T) {
	for _, mode := range []string{"row", "schema", "database"} {
		t.Run(mode, func(t *testing.T) {
			db := pgtest.Open(t)
			selftestWith(t, "-database", db.URL(), "-isolation", mode)
			assertNothingLeft(t, db.URL())
		})
	}
}

func selftestWith(t *testing.T, args ...string) {
	t.Helper()
	var out, log bytes.Buffer
	err := run(t.Context(), append([]string{"-selftest"}, args...), &out, &log)
	require.NoError(t, err, "%s\n%s", out.String(), log.String())
	assert.Contains(t, out.String(), "PASSED: ")
	assert.NotContains(t, log.String(), "level=ERROR")
}

func TestIsolationStaysWhatItWas(t *testing.T) {
	t.Parallel()
	cfg := Config{Database: pgtest.Open(t).URL(), Isolation: "row", Role: pgtest.Name(t, "app"), Prefix: pgtest.Name(t, "p") + "_"}
	for range 2 {
		b, err := openPostgres(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, b.close())
	}
	cfg.Isolation = "schema"
	_, err := openPostgres(t.Context(), cfg)
	require.ErrorContains(t, err, "start with -isolation row")
}

// assertNothingLeft checks that a self-test removed its databases and roles.
func assertNothingLeft(t *testing.T, url string) {
	t.Helper()
	db := openAdmin(t, url)
	const query = `SELECT datname FROM pg_database WHERE datname LIKE 'saas\_selftest\_%' OR datname LIKE 'st\_%'
		UNION ALL SELECT rolname FROM pg_roles WHERE rolname LIKE 'saas\_selftest\_%' OR rolname LIKE 't\_%'`
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { assert.NoError(t, rows.Close()) }()
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		assert.Fail(t, "left behind", name)
	}
	require.NoError(t, rows.Err())
}

func TestRunRefusesBadFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-nonsense"},
		{"stray"},
		{"-database", "mysql://localhost/x"},
		{"-selftest", "-database", "postgres://[::1"},
		{"-dir", os.DevNull + "/x"},
		{"-addr", "nowhere"},
		{"-isolation", "hope"},
	} {
		assert.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
}

func TestRunServesUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out, printed := io.Pipe()
	var log bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0", "-dir", t.TempDir()}, printed, &log)
		_ = printed.Close()
	}()

	welcome := make([]byte, 4096)
	n, err := out.Read(welcome)
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	port := regexp.MustCompile(`localhost:(\d+)/`).FindStringSubmatch(string(welcome[:n]))
	require.Len(t, port, 2, string(welcome[:n]))

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port[1]+"/", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusOK, resp.StatusCode)

	stop()
	require.NoError(t, <-ended)
	assert.Contains(t, log.String(), "msg=stopped")
}
