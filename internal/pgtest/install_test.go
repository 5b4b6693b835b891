package pgtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// demandInstallation skips or fails the test where PostgreSQL is missing.
func demandInstallation(t *testing.T) {
	t.Helper()
	_, err := find(debianRoot)
	demand(t, err)
}

// install makes a directory that looks like an installation.
func install(t *testing.T, bin string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(bin, 0o755))
	for _, program := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, program), nil, 0o755))
	}
}

func TestFindTakesPathFirstAndElseTheNewest(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", "")
	_, err := find(root)
	require.ErrorIs(t, err, errMissing)

	install(t, filepath.Join(root, "9", "bin"))
	install(t, filepath.Join(root, "15", "bin"))
	require.NoError(t, os.MkdirAll(filepath.Join(root, "17", "bin"), 0o755)) // clients alone
	found, err := find(root)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(root, "15", "bin"), found.bin)

	inPath := filepath.Join(t.TempDir(), "bin")
	install(t, inPath)
	t.Setenv("PATH", inPath)
	found, err = find(root)
	require.NoError(t, err)
	assert.Equal(t, inPath, found.bin)
}

// recorder is a test that notes how it was ended.
type recorder struct {
	testing.TB
	skipped, failed bool
}

func (r *recorder) Helper()      {}
func (r *recorder) Skip(...any)  { r.skipped = true }
func (r *recorder) Fatal(...any) { r.failed = true }
func (r *recorder) Error(...any) { r.failed = true }

func TestAMissingInstallationSkipsOrFails(t *testing.T) {
	tests := []struct {
		name, ci, require string
		fails             bool
	}{
		{name: "on a developer's machine"},
		{name: "in CI", ci: "true", fails: true},
		{name: "where servers are required", require: "1", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			t.Setenv("TENANCY_REQUIRE_SERVERS", tt.require)
			r := &recorder{TB: t}
			demand(r, errMissing)
			assert.Equal(t, tt.fails, r.failed)
			assert.Equal(t, !tt.fails, r.skipped)
		})
	}
}

func TestTheSharedServerCannotBeStopped(t *testing.T) {
	for _, end := range []func(*Server){(*Server).Kill, (*Server).Stop, (*Server).Start} {
		r := &recorder{TB: t}
		end(&Server{t: r, instance: &instance{}, shared: true})
		assert.True(t, r.failed)
	}
}

func TestEnterable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(dir, 0o700))
	assert.False(t, enterable(dir))
	assert.False(t, enterable(filepath.Join(dir, "missing")))
	assert.True(t, enterable("/"))
}

func TestLogOfKeepsOneDatabasesEntries(t *testing.T) {
	i := &instance{dir: t.TempDir()}
	log := "t [1] [mine] ERROR: one\n\tand more\nt [2] [other] ERROR: two\n\tnot this\nt [1] [mine] LOG: three\n"
	require.NoError(t, os.WriteFile(i.logPath(), []byte(log), 0o600))
	assert.Equal(t, "t [1] [mine] ERROR: one\n\tand more\nt [1] [mine] LOG: three", i.logOf("mine"))
}
