package sqlstore_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/sqlstore"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

const childVariable = "TENANCY_ENVELOPE_CHILD"

// children are processes of their own, to be killed. Each prints a line for what it did.
var children = map[string]func(ctx context.Context, args []string) error{
	"rewrap":    childRewraps,
	"rotate":    childRotates,
	"reencrypt": childReencrypts,
	"keyfile":   childChangesKeyFile,
	"shred":     childShreds,
}

// kill starts a child and kills it after so many lines. It returns the lines; fewer if the
// child was done.
func kill(t *testing.T, name string, after int, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var lines []string
	for scanner := bufio.NewScanner(out); len(lines) < after && scanner.Scan(); {
		lines = append(lines, scanner.Text())
		require.NotContains(t, scanner.Text(), "error:")
	}
	_ = cmd.Process.Kill() // SIGKILL
	_ = cmd.Wait()
	return lines
}

// told is a store that tells of its writes, before and after each.
type told struct{ *sqlstore.Store }

func (s told) Create(ctx context.Context, r envelope.Record) error {
	fmt.Println("create")
	defer fmt.Println("created")
	return s.Store.Create(ctx, r)
}

func (s told) Rewrap(ctx context.Context, old envelope.Record, w envelope.Wrapped) error {
	fmt.Println("rewrap")
	defer fmt.Println("rewrapped")
	return s.Store.Rewrap(ctx, old, w)
}

func (s told) Shred(ctx context.Context, t envelope.Tombstone) error {
	fmt.Println("shred")
	defer fmt.Println("shredded")
	return s.Store.Shred(ctx, t)
}

// childKeys opens a directory with keys.db, data.db, the file keys and the journal.
func childKeys(dir string) (*envelope.Keys, error) {
	db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(dir, "keys.db")))
	if err != nil {
		return nil, err
	}
	store, err := sqlstore.New(db, sqlstore.SQLite)
	if err != nil {
		return nil, err
	}
	ring, err := envelope.OpenKeyring(filepath.Join(dir, "keys"))
	if err != nil {
		return nil, err
	}
	journal, err := envelope.OpenFileJournal(filepath.Join(dir, "shredded"))
	if err != nil {
		return nil, err
	}
	return envelope.New(ring, told{store}, envelope.WithJournal(journal))
}

func childRewraps(ctx context.Context, args []string) error {
	k, err := childKeys(args[0])
	if err != nil {
		return err
	}
	_, err = k.Rewrap(tenant.System(ctx, "test"), nil)
	return err
}

func childRotates(ctx context.Context, args []string) error {
	k, err := childKeys(args[0])
	if err != nil {
		return err
	}
	for {
		version, err := k.Rotate(tenant.NewContext(ctx, tenant.Tenant{ID: "t-0"}), envelope.Fields)
		if err != nil {
			return err
		}
		fmt.Println("version", version)
	}
}

func childReencrypts(ctx context.Context, args []string) error {
	k, err := childKeys(args[0])
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", sqliteDSN(filepath.Join(args[0], "data.db")))
	if err != nil {
		return err
	}
	_, err = k.Reencrypt(tenant.NewContext(ctx, tenant.Tenant{ID: "t-0"}), db, envelope.Cells{Column: ssn, Key: "id", Bound: true, Batch: 5},
		func(r envelope.ReencryptReport) { fmt.Println("sealed", r.Sealed) })
	return err
}

func childShreds(ctx context.Context, args []string) error {
	k, err := childKeys(args[0])
	if err != nil {
		return err
	}
	_, err = k.Shred(tenant.System(ctx, "left"), "t-0")
	return err
}

func childChangesKeyFile(_ context.Context, args []string) error {
	for i := 0; ; i++ {
		id := args[1] + "-" + strconv.Itoa(i)
		if err := errors.Join(envelope.AddKey(args[0], id), envelope.MakeCurrent(args[0], id)); err != nil {
			return err
		}
		fmt.Println(id)
	}
}

// directory is what children work on.
type directory struct {
	path   string
	sealed map[tenant.ID]envelope.Sealed
}

const tenants = 40

func newDirectory(t *testing.T) directory {
	t.Helper()
	d := directory{path: t.TempDir(), sealed: make(map[tenant.ID]envelope.Sealed)}
	require.NoError(t, envelope.CreateKeyFile(d.file("keys"), "old"))
	_ = newStore(t, open(t, "sqlite", sqliteDSN(d.file("keys.db"))), sqlstore.SQLite)
	k := d.keys(t)
	for i := range tenants {
		id := tenant.ID(fmt.Sprintf("t-%d", i))
		sealed, err := k.Seal(tenanttest.Context(t, id), ssn, []byte(id))
		require.NoError(t, err)
		d.sealed[id] = sealed
	}
	return d
}

func (d directory) file(name string) string { return filepath.Join(d.path, name) }

// keys opens the directory as another process would.
func (d directory) keys(t *testing.T, opts ...envelope.Option) *envelope.Keys {
	t.Helper()
	store, err := sqlstore.New(open(t, "sqlite", sqliteDSN(d.file("keys.db"))), sqlstore.SQLite)
	require.NoError(t, err)
	ring, err := envelope.OpenKeyring(d.file("keys"))
	require.NoError(t, err)
	journal, err := envelope.OpenFileJournal(d.file("shredded"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = journal.Close() })
	return newKeys(t, ring, store, append(opts, envelope.WithJournal(journal))...)
}

func (d directory) requireAllOpen(t *testing.T, k *envelope.Keys, but tenant.ID) {
	t.Helper()
	for id, sealed := range d.sealed {
		if id == but {
			continue
		}
		got, err := k.Open(tenanttest.Context(t, id), ssn, sealed)
		require.NoError(t, err, id)
		require.Equal(t, string(id), string(got))
	}
}

// Rewrapping is killed at points all along; every key unwraps at every time, and what is
// left is done by whoever comes next.
func TestRewrapSurvivesKills(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	require.NoError(t, envelope.AddKey(d.file("keys"), "new"))
	require.NoError(t, envelope.MakeCurrent(d.file("keys"), "new"))
	kills := 0
	for {
		lines := kill(t, "rewrap", 5, d.path)
		k := d.keys(t)
		d.requireAllOpen(t, k, "")
		if len(lines) < 5 {
			break
		}
		kills++
	}
	k := d.keys(t)
	_, err := k.Rewrap(tenant.System(t.Context(), "test"), nil)
	require.NoError(t, err)
	counts, err := k.WrappingKeys(tenant.System(t.Context(), "test"))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"new": tenants}, counts)
	require.NoError(t, envelope.RemoveKey(d.file("keys"), "old"))
	d.requireAllOpen(t, d.keys(t), "")
	t.Logf("killed %d times", kills)
	assert.Positive(t, kills)
}

func TestRotationSurvivesKills(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for after := 1; after <= 12; after++ {
		_ = kill(t, "rotate", after, d.path)
		k := d.keys(t)
		d.requireAllOpen(t, k, "")
		ctx := tenanttest.Context(t, "t-0")
		current, err := k.Current(ctx, envelope.Fields)
		require.NoError(t, err)
		next, err := k.Rotate(ctx, envelope.Fields)
		require.NoError(t, err)
		require.Equal(t, current+1, next)
		sealed, err := k.Seal(ctx, ssn, []byte("t-0"))
		require.NoError(t, err)
		d.sealed["t-0"] = sealed
	}
}

func TestReencryptionSurvivesKills(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	k := d.keys(t)
	ctx := tenanttest.Context(t, "t-0")
	data := open(t, "sqlite", sqliteDSN(d.file("data.db")))
	_, err := data.ExecContext(ctx, `CREATE TABLE patients (id INTEGER PRIMARY KEY, ssn BLOB)`)
	require.NoError(t, err)
	const rows = 60
	for i := 1; i <= rows; i++ {
		sealed, err := k.Seal(ctx, ssn.At(strconv.Itoa(i)), []byte(strconv.Itoa(i)))
		require.NoError(t, err)
		_, err = data.ExecContext(ctx, `INSERT INTO patients VALUES ($1, $2)`, i, sealed)
		require.NoError(t, err)
	}
	version, err := k.Rotate(ctx, envelope.Fields)
	require.NoError(t, err)
	kills := 0
	for len(kill(t, "reencrypt", 3, d.path)) == 3 {
		kills++
	}
	report, err := k.Reencrypt(ctx, data, envelope.Cells{Column: ssn, Key: "id", Bound: true}, nil)
	require.NoError(t, err)
	assert.Zero(t, report, "nothing was left")
	later := d.keys(t, envelope.WithClock(func() time.Time { return time.Now().Add(time.Hour) }))
	_, err = later.Retire(ctx, envelope.Fields, version)
	require.NoError(t, err)
	k = d.keys(t)
	for i := 1; i <= rows; i++ {
		var sealed envelope.Sealed
		require.NoError(t, data.QueryRowContext(ctx, `SELECT ssn FROM patients WHERE id = $1`, i).Scan(&sealed))
		got, err := k.Open(ctx, ssn.At(strconv.Itoa(i)), sealed)
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(i), string(got))
	}
	t.Logf("killed %d times", kills)
	assert.Positive(t, kills)
}

// Once the first write of a shredding is done, nothing of the tenant opens; another call
// finishes it.
func TestShreddingSurvivesKills(t *testing.T) {
	t.Parallel()
	for after := 1; after <= 2; after++ {
		d := newDirectory(t)
		_ = kill(t, "shred", after, d.path)
		k := d.keys(t)
		_, err := k.Open(tenanttest.Context(t, "t-0"), ssn, d.sealed["t-0"])
		require.ErrorIs(t, err, envelope.ErrShredded, "the journal was written first")
		_, err = k.Shred(tenant.System(t.Context(), "again"), "t-0")
		require.NoError(t, err)
		counts, err := k.WrappingKeys(tenant.System(t.Context(), "test"))
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"old": tenants - 1}, counts)
		d.requireAllOpen(t, k, "t-0")
	}
}

// A key file whose writer is killed is the old one or the new one, and has every key that
// was reported.
func TestKeyFileSurvivesKills(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, envelope.CreateKeyFile(path, "first"))
	want := []string{"first"}
	for i := range 10 {
		want = append(want, kill(t, "keyfile", 1+i*3, path, strconv.Itoa(i))...)
		ring, err := envelope.OpenKeyring(path)
		require.NoError(t, err)
		for _, id := range want {
			require.Contains(t, ring.String(), `"`+id+`"`)
		}
		if err := os.Remove(path + ".lock"); err != nil { // as the error says
			require.ErrorIs(t, err, os.ErrNotExist)
		}
	}
}
