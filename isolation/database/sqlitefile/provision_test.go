package sqlitefile_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestProvisionKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (name) VALUES ('ada')`)

	provision(t, s, acme)
	later := openIn(t, dir, sqlitefile.Migrations(files(firstMigration, "-- +goose Up\nALTER TABLE customer ADD COLUMN email TEXT;\n")))
	provision(t, later, acme, globex)

	assert.Equal(t, 1, count(t, db, acme, `SELECT count(*) FROM customer WHERE email IS NULL`), "migrated, with its rows")
	assert.Equal(t, 0, count(t, db, globex, `SELECT count(*) FROM customer WHERE email IS NULL`))
}

func TestProvisionTogether(t *testing.T) {
	t.Parallel()
	a, dir := open(t)
	b := openIn(t, dir) // as another process has it
	var group errgroup.Group
	for i := range 40 {
		s := []*sqlitefile.Strategy{a, b}[i%2]
		group.Go(func() error { return s.Provision(t.Context(), tenant.Tenant{ID: tenant.ID(fmt.Sprint("t", i/4))}) })
	}
	require.NoError(t, group.Wait())
	homes, err := filepath.Glob(filepath.Join(dir, "t-*.db"))
	require.NoError(t, err)
	assert.Len(t, homes, 10)
	require.NoError(t, a.Verify(t.Context()))
	assert.Equal(t, []string{"lock.db"}, names(t, filepath.Join(dir, ".tenancy")))
}

func TestTemplateFollowsTheMigrations(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{"00001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (x);\n")}}
	s, _ := open(t, sqlitefile.Migrations(fsys))
	provision(t, s, acme)
	fsys["00002_b.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE b (x);\n")}
	provision(t, s, globex)
	db, _ := pooled(t, s)
	const tables = `SELECT count(*) FROM sqlite_schema WHERE name IN ('a', 'b')`
	assert.Equal(t, 1, count(t, db, acme, tables))
	assert.Equal(t, 2, count(t, db, globex, tables))
	require.NoError(t, s.Migrate(t.Context(), acme))
	assert.Equal(t, 2, count(t, db, acme, tables))
}

func TestHomesWithoutMigrations(t *testing.T) {
	t.Parallel()
	s, _ := open(t, sqlitefile.Migrations(nil))
	provision(t, s, acme)
	db, _ := pooled(t, s)
	assert.Equal(t, 0, count(t, db, acme, `SELECT count(*) FROM sqlite_schema`))
	exec(t, db, acme, `CREATE TABLE x (y)`)
}

func TestBrokenMigrationsLeaveNoHome(t *testing.T) {
	t.Parallel()
	s, dir := open(t, sqlitefile.Migrations(files("-- +goose Up\nCREATE TABLE a (x);\nCREATE TABLE oops (;\n")))
	require.Error(t, s.Provision(t.Context(), acme))
	assert.NoFileExists(t, filepath.Join(dir, "t-acme.db"))
	assert.Equal(t, []string{"lock.db"}, names(t, filepath.Join(dir, ".tenancy")))
}

// rebuild is how SQLite's documentation changes a table that others refer to.
// With foreign keys on, DROP TABLE would delete the rows that do.
const rebuild = `-- +goose Up
CREATE TABLE fresh (id INTEGER PRIMARY KEY, name TEXT NOT NULL CHECK (name <> ''));
INSERT INTO fresh SELECT id, name FROM customer;
DROP TABLE customer;
ALTER TABLE fresh RENAME TO customer;
`

func TestMigrationMayRebuildATable(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (id, name) VALUES (1, 'ada')`)
	exec(t, db, acme, `INSERT INTO orders (customer_id, total) VALUES (1, 5)`)

	require.NoError(t, openIn(t, dir, sqlitefile.Migrations(files(firstMigration, rebuild))).Migrate(t.Context(), acme))
	assert.Equal(t, 1, count(t, db, acme, `SELECT count(*) FROM orders JOIN customer ON customer.id = customer_id`))
	_, err := db.ExecContext(in(t, acme), `INSERT INTO customer (name) VALUES ('')`)
	assert.ErrorContains(t, err, "CHECK")
}

func TestMigrationThatBreaksReferencesIsUndone(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (id, name) VALUES (1, 'ada')`)
	exec(t, db, acme, `INSERT INTO orders (customer_id, total) VALUES (1, 5)`)

	worse := openIn(t, dir, sqlitefile.Migrations(files(firstMigration, "-- +goose Up\nCREATE TABLE more (x);\nDELETE FROM customer;\n")))
	require.ErrorContains(t, worse.Migrate(t.Context(), acme), "of table orders refers to a row of customer that is not there")
	assert.Equal(t, 1, count(t, db, acme, `SELECT count(*) FROM customer`))
	assert.Equal(t, 0, count(t, db, acme, `SELECT count(*) FROM sqlite_schema WHERE name = 'more'`))
}

func TestMigrationMayNotAttach(t *testing.T) {
	t.Parallel()
	s, dir := open(t, sqlitefile.Migrations(files("-- +goose Up\nATTACH ':memory:' AS other;\n")))
	require.ErrorContains(t, s.Provision(t.Context(), acme), "not authorized")
	assert.NoFileExists(t, filepath.Join(dir, "t-acme.db"))
}

func TestDeprovision(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme, globex)
	db, pool := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (name) VALUES ('ada')`)
	exec(t, db, globex, `INSERT INTO customer (name) VALUES ('eve')`)

	pool.Forget(acme.ID)
	require.NoError(t, s.Deprovision(t.Context(), acme))
	require.NoError(t, s.Deprovision(t.Context(), acme), "without a home")
	left, err := filepath.Glob(filepath.Join(dir, "t-acme*"))
	require.NoError(t, err)
	assert.Empty(t, left)
	_, err = db.ExecContext(in(t, acme), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrNotProvisioned)
	assert.Equal(t, 1, count(t, db, globex, `SELECT count(*) FROM customer`))

	provision(t, s, acme)
	assert.Equal(t, 0, count(t, db, acme, `SELECT count(*) FROM customer`))
}

// TestLogOfARemovedHome leaves a write-ahead log behind, as a process killed in
// Deprovision may, and one that still has the file open will.
func TestLogOfARemovedHome(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (name) VALUES ('ada')`)
	home := filepath.Join(dir, "t-acme.db")
	log, err := os.ReadFile(home + "-wal")
	require.NoError(t, err)
	require.NotEmpty(t, log)

	require.NoError(t, s.Deprovision(t.Context(), acme))
	require.NoError(t, os.WriteFile(home+"-wal", log, 0o600))
	stray, err := s.Stray(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"t-acme.db-wal"}, stray)

	provision(t, s, acme)
	fresh, _ := pooled(t, s)
	assert.Equal(t, 0, count(t, fresh, acme, `SELECT count(*) FROM customer`), "the log was not replayed into the new file")
}

func TestContextEndsTheWaitForTheLock(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Provision(ctx, acme), context.Canceled)
	require.ErrorIs(t, s.Deprovision(ctx, acme), context.Canceled)
}

func TestMalformedIDs(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	before := names(t, dir)
	for _, id := range hostileIDs {
		who := tenant.Tenant{ID: tenant.ID(id)}
		_, placeErr := s.Place(t.Context(), who)
		for _, err := range []error{
			placeErr, s.Provision(t.Context(), who), s.Migrate(t.Context(), who), s.Deprovision(t.Context(), who),
		} {
			require.ErrorIs(t, err, tenant.ErrInvalidID, id)
		}
	}
	assert.Equal(t, before, names(t, dir))
}

var hostileIDs = []string{
	"", ".", "..", "../x", "..\\x", "/etc/passwd", "a/b", "a\\b", "a\x00b", "a.db", "acme.db-wal", "con:", "a?mode=rwc",
	"a#b", "a%2fb", "%2e%2e", "ＡＣＭＥ", "ACME", "-a", "a-", " a", "a ", "a\n", "file:a", "~", "$HOME", strings.Repeat("a", 64),
}

// FuzzHomes provisions under arbitrary IDs: whatever is made lies in the
// directory, under a name of its own.
func FuzzHomes(f *testing.F) {
	for _, id := range hostileIDs {
		f.Add(id)
	}
	f.Add("acme")
	f.Add("0")
	f.Add(strings.Repeat("z", 63))
	parent := f.TempDir()
	dir := filepath.Join(parent, "homes")
	s, err := sqlitefile.New(dir)
	require.NoError(f, err)
	f.Cleanup(func() { assert.NoError(f, s.Close()) })
	f.Fuzz(func(t *testing.T, id string) {
		who := tenant.Tenant{ID: tenant.ID(id)}
		err := s.Provision(t.Context(), who)
		want := []string{".tenancy"}
		if who.ID.Validate() == nil {
			require.NoError(t, err)
			want = append(want, "t-"+id+".db")
		} else {
			require.ErrorIs(t, err, tenant.ErrInvalidID)
		}
		assert.Equal(t, want, names(t, dir))
		assert.Equal(t, []string{"homes"}, names(t, parent))
		if err == nil {
			require.NoError(t, s.Deprovision(t.Context(), who))
		}
		assert.Equal(t, []string{".tenancy"}, names(t, dir))
	})
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func TestVerify(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		plant func(dir string) error
		want  string
	}{
		"symbolic link to another home": {
			func(dir string) error { return os.Symlink("t-acme.db", filepath.Join(dir, "t-globex.db")) }, "no regular file"},
		"symbolic link to outside": {
			func(dir string) error { return os.Symlink("/etc/hostname", filepath.Join(dir, "t-globex.db")) }, "no regular file"},
		"symbolic link as log": {
			func(dir string) error { return os.Symlink("/tmp/x", filepath.Join(dir, "t-acme.db-wal")) }, "no regular file"},
		"directory": {
			func(dir string) error { return os.Mkdir(filepath.Join(dir, "t-globex.db"), 0o700) }, "no regular file"},
		"second name of another home": {
			func(dir string) error {
				return os.Link(filepath.Join(dir, "t-acme.db"), filepath.Join(dir, "t-globex.db"))
			}, "second name"},
		"open to others": {
			func(dir string) error { return os.Chmod(filepath.Join(dir, "t-acme.db"), 0o640) }, "mode 0600"},
		"directory open to others": {
			func(dir string) error { return os.Chmod(dir, 0o770) }, "mode 0700"},
		"work directory replaced": {
			func(dir string) error {
				return errors.Join(os.RemoveAll(filepath.Join(dir, ".tenancy")), os.Symlink("/tmp", filepath.Join(dir, ".tenancy")))
			}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := open(t)
			provision(t, s, acme)
			require.NoError(t, s.Verify(t.Context()))
			require.NoError(t, tt.plant(dir))
			err := s.Verify(t.Context())
			require.Error(t, err)
			if tt.want != "" {
				require.ErrorIs(t, err, isolation.ErrUnsafe)
				assert.ErrorContains(t, err, tt.want)
			}
		})
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	for _, name := range []string{"README", "t-.db", "t-a_b.db", "u-acme.db", "t-acme.db.bak"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
	}
	require.NoError(t, s.Verify(t.Context()))
	stray, err := s.Stray(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"README", "t-.db", "t-a_b.db", "t-acme.db.bak", "u-acme.db"}, stray)
}

func TestPlantedLinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	s, dir := open(t)
	provision(t, s, acme)
	require.NoError(t, os.Symlink("t-acme.db", filepath.Join(dir, "t-globex.db")))
	db, _ := pooled(t, s)
	_, err := db.ExecContext(in(t, globex), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	require.ErrorIs(t, s.Provision(t.Context(), globex), isolation.ErrUnsafe)
	require.NoError(t, s.Deprovision(t.Context(), globex), "removes the link alone")
	assert.FileExists(t, filepath.Join(dir, "t-acme.db"))
	assert.Equal(t, 0, count(t, db, acme, `SELECT count(*) FROM customer`))
}

func TestDirectoryOpenToOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	_, err := sqlitefile.New(dir)
	assert.ErrorIs(t, err, isolation.ErrUnsafe)
}

func TestDirectoryWithStrangeName(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a b?mode=memory#100%25 &x=;ü")
	s := openIn(t, dir)
	provision(t, s, acme)
	db, _ := pooled(t, s)
	exec(t, db, acme, `INSERT INTO customer (name) VALUES ('ada')`)
	assert.FileExists(t, filepath.Join(dir, "t-acme.db-wal"))
}
