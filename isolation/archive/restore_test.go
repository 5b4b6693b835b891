package archive_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive"
)

// tablesOf are migrations with these statements for all strategies.
func tablesOf(shared, own, sqlite string) files {
	make := func(ddl string) fs.FS {
		return fstest.MapFS{"00001_tables.sql": {Data: []byte("-- +goose Up\n" + ddl)}}
	}
	return files{make(shared), make(own), make(sqlite)}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	data := small(t)
	p := newPlace(t, "sqlite")
	a := p.archiver(t)
	_, err := a.Restore(t.Context(), globex, bytes.NewReader(data))
	require.ErrorIs(t, err, archive.ErrOtherTenant)
	_, err = a.Restore(t.Context(), globex, bytes.NewReader(data), archive.AsClone())
	require.NoError(t, err)
	_, err = a.Restore(t.Context(), globex, bytes.NewReader(data), archive.AsClone())
	require.ErrorIs(t, err, archive.ErrOccupied)
	_, err = a.Restore(t.Context(), globex, bytes.NewReader(data), archive.AsClone(), archive.Replace())
	require.NoError(t, err)
	_, err = p.archiver(t, archive.SchemaVersion("2")).Restore(t.Context(), globex, bytes.NewReader(data), archive.AsClone(), archive.Replace())
	require.ErrorIs(t, err, archive.ErrSchema)
	_, err = a.Clone(t.Context(), globex, globex)
	require.ErrorIs(t, err, archive.ErrOccupied)
	_, err = a.Clone(t.Context(), globex, acme)
	require.NoError(t, err)
	assert.Equal(t, p.hashes(t, globex), p.hashes(t, acme))
}

func TestUnregisteredTables(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"row", "sqlite"} {
		p := newPlace(t, kind)
		require.NoError(t, p.strategy.Provision(t.Context(), acme))
		_, err := p.archiver(t, archive.Tables("customers", "orders", "nodes", "teams")).Export(t.Context(), acme, discardWriter{})
		require.ErrorIs(t, err, archive.ErrUnregistered)
		require.ErrorContains(t, err, "members")
		m, err := p.archiver(t, archive.Tables("customers", "orders"), archive.Exclude("nodes", "teams", "members")).Export(t.Context(), acme, discardWriter{})
		require.NoError(t, err)
		assert.Len(t, m.Tables, 2)
		_, err = p.archiver(t, archive.Tables("customers", "orders", "nodes", "teams", "members", "ghosts")).Export(t.Context(), acme, discardWriter{})
		require.ErrorIs(t, err, archive.ErrSchema)
	}
}

// TestSharedHomeStaysApart restores over one tenant's rows while another's are beside
// them.
func TestSharedHomeStaysApart(t *testing.T) {
	t.Parallel()
	p := newPlace(t, "row")
	p.fill(t, acme, globex)
	a := p.archiver(t)
	var file bytes.Buffer
	_, err := a.Export(t.Context(), acme, &file)
	require.NoError(t, err)
	want, neighbour := p.hashes(t, acme), p.hashes(t, globex)
	last := one[int64](t, p, globex, `SELECT max(id) FROM orders`)

	p.exec(t, acme, `DELETE FROM orders WHERE quantity = 3`)
	p.exec(t, acme, `UPDATE customers SET email = email || 'x'`)
	_, err = a.Restore(t.Context(), acme, &file, archive.Replace())
	require.NoError(t, err)
	assert.Equal(t, want, p.hashes(t, acme))
	assert.Equal(t, neighbour, p.hashes(t, globex))
	p.exec(t, globex, `INSERT INTO orders (customer_id, note) SELECT min(id), 'next' FROM customers`)
	assert.Greater(t, one[int64](t, p, globex, `SELECT id FROM orders WHERE note = 'next'`), last)

	_, err = a.Clone(t.Context(), acme, acmeTrial)
	require.NoError(t, err)
	assert.Equal(t, want, p.hashes(t, acmeTrial))
}

// TestBeforeCommit changes rows, and refuses some, in the restore's own transaction.
func TestBeforeCommit(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"row", "sqlite"} {
		p := newPlace(t, kind)
		w := &world{places: map[string]*place{kind: p}, archivers: map[string]*archive.Archiver{kind: p.archiver(t)}}
		restore := func(f func(ctx context.Context, tx *sql.Tx) error) error {
			_, err := w.archivers[kind].Restore(t.Context(), acme, bytes.NewReader(masterArchive(t)), archive.AsClone(), archive.Replace(), archive.BeforeCommit(f))
			return err
		}
		change := func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE orders SET note = 'of the clone'`)
			return err
		}
		require.NoError(t, restore(change))
		assert.Positive(t, one[int](t, p, acme, `SELECT count(*) FROM orders WHERE note = 'of the clone'`), kind)
		want := p.hashes(t, acme)
		no := errors.New("no")
		require.ErrorIs(t, restore(func(ctx context.Context, tx *sql.Tx) error { return errors.Join(change(ctx, tx), no) }), no)
		assert.Equal(t, want, p.hashes(t, acme), kind)
	}
}

// TestSharedSequenceIsNotExhausted brings a tenant with the largest number there is
// into shared tables.
func TestSharedSequenceIsNotExhausted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"own": "schema", "shared": "row"})
	w.settle(t, "own", acme)
	w.settle(t, "shared", globex)
	w.places["own"].exec(t, acme, `INSERT INTO orders (id, customer_id) SELECT 9223372036854775807, min(id) FROM customers`)
	shared := w.places["shared"]
	next := func(note string) int64 {
		shared.exec(t, globex, `INSERT INTO orders (customer_id, note) SELECT min(id), $1 FROM customers`, note)
		return one[int64](t, shared, globex, `SELECT id FROM orders WHERE note = $1`, note)
	}
	last := next("before")

	var file bytes.Buffer
	_, err := w.places["own"].archiver(t).Export(t.Context(), acme, &file)
	require.NoError(t, err)
	a := shared.archiver(t)
	_, err = a.Restore(t.Context(), acme, bytes.NewReader(file.Bytes()))
	require.ErrorIs(t, err, archive.ErrUnsupported)
	assert.ErrorContains(t, err, "orders.id")
	assert.Zero(t, one[int](t, shared, acme, `SELECT count(*) FROM orders`), "nothing is kept")

	frozen := false
	_, err = w.mover(t, at(archive.Frozen, func() { frozen = true })).Move(t.Context(), acme, "shared")
	require.ErrorIs(t, err, archive.ErrUnsupported)
	assert.False(t, frozen, "it is known before writes are refused")

	assert.Equal(t, last+1, next("after the refusals"))
	_, err = shared.archiver(t, archive.Exclude("orders.id")).Restore(t.Context(), acme, bytes.NewReader(file.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, last+2, next("beside the large number"))
}

// TestColumnsSmallerThanTheirSequence: what the column can hold is what there is to use up.
// A little of it may be used by anyone.
func TestColumnsSmallerThanTheirSequence(t *testing.T) {
	t.Parallel()
	p := placeOf(t, "row", tablesOf(`CREATE SEQUENCE ids; CREATE DOMAIN id AS int; CREATE TABLE things (tenant_id text NOT NULL, id id NOT NULL DEFAULT nextval('ids'),
		note text, PRIMARY KEY (tenant_id, id)); ALTER SEQUENCE ids OWNED BY things.id;`, "", ""))
	require.NoError(t, p.strategy.Provision(t.Context(), acme))
	a := p.archiver(t)
	archived := func(id int) []byte {
		p.exec(t, acme, `DELETE FROM things`)
		p.exec(t, acme, `INSERT INTO things (id, note) VALUES ($1, 'x')`, id)
		var file bytes.Buffer
		_, err := a.Export(t.Context(), acme, &file)
		require.NoError(t, err)
		return file.Bytes()
	}
	set := func(last int) {
		_, err := p.admin.ExecContext(t.Context(), `SELECT setval('ids', $1)`, last)
		require.NoError(t, err)
	}
	set(10)
	_, err := a.Restore(t.Context(), acme, bytes.NewReader(archived(math.MaxInt32)), archive.Replace())
	require.ErrorIs(t, err, archive.ErrUnsupported)
	set(1_099_999_990)
	_, err = a.Restore(t.Context(), acme, bytes.NewReader(archived(1_100_000_001)), archive.Replace())
	require.NoError(t, err)
	p.exec(t, acme, `INSERT INTO things (note) VALUES ('next')`)
	assert.Equal(t, 1_100_000_002, one[int](t, p, acme, `SELECT id FROM things WHERE note = 'next'`))
}

// TestLossIsAnError restores into a column that SQLite turns into a number.
func TestLossIsAnError(t *testing.T) {
	t.Parallel()
	const pg = `CREATE TABLE prices (id bigint PRIMARY KEY, price numeric NOT NULL);`
	from := placeOf(t, "schema", tablesOf("", pg, ""))
	require.NoError(t, from.strategy.Provision(t.Context(), acme))
	from.exec(t, acme, `INSERT INTO prices VALUES (1, 1.50)`)
	var file bytes.Buffer
	_, err := from.archiver(t).Export(t.Context(), acme, &file)
	require.NoError(t, err)
	data := file.Bytes()

	lossy := placeOf(t, "sqlite", tablesOf("", "", `CREATE TABLE prices (id INTEGER PRIMARY KEY, price NUMERIC NOT NULL);`))
	_, err = lossy.archiver(t).Restore(t.Context(), acme, bytes.NewReader(data))
	require.ErrorIs(t, err, archive.ErrMismatch)
	assert.Zero(t, one[int](t, lossy, acme, `SELECT count(*) FROM prices`), "nothing is kept")
	exact := placeOf(t, "sqlite", tablesOf("", "", `CREATE TABLE prices (id INTEGER PRIMARY KEY, price NUMERIC_TEXT NOT NULL);`))
	_, err = exact.archiver(t).Restore(t.Context(), acme, bytes.NewReader(data))
	require.NoError(t, err)
	assert.Equal(t, "1.50", one[string](t, exact, acme, `SELECT price FROM prices`))
}

func TestCircles(t *testing.T) {
	t.Parallel()
	const stuck = `CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER NOT NULL REFERENCES b (id));
		CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER NOT NULL REFERENCES a (id));`
	p := placeOf(t, "sqlite", tablesOf("", "", stuck))
	require.NoError(t, p.strategy.Provision(t.Context(), acme))
	_, err := p.archiver(t).Export(t.Context(), acme, discardWriter{})
	require.ErrorIs(t, err, archive.ErrCircle)

	const deferred = `CREATE TABLE a (id bigint PRIMARY KEY, b bigint NOT NULL);
		CREATE TABLE b (id bigint PRIMARY KEY, a bigint NOT NULL REFERENCES a DEFERRABLE INITIALLY DEFERRED);
		ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE;`
	p = placeOf(t, "schema", tablesOf("", deferred, ""))
	require.NoError(t, p.strategy.Provision(t.Context(), acme))
	tx, err := p.db.BeginTx(in(t, acme), nil)
	require.NoError(t, err)
	for _, s := range []string{`SET CONSTRAINTS ALL DEFERRED`, `INSERT INTO a VALUES (1, 2)`, `INSERT INTO b VALUES (2, 1)`} {
		_, err := tx.ExecContext(in(t, acme), s)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit())
	_, err = p.archiver(t).Clone(t.Context(), acme, globex)
	require.NoError(t, err)
	assert.Equal(t, p.hashes(t, acme), p.hashes(t, globex))
}

// TestOwnerColumn has the tenant's column in homes of tenants' own.
func TestOwnerColumn(t *testing.T) {
	t.Parallel()
	ddl := `CREATE TABLE things (tenant_id text NOT NULL, id bigint NOT NULL, PRIMARY KEY (tenant_id, id));`
	p := placeOf(t, "schema", tablesOf("", ddl, ""))
	require.NoError(t, p.strategy.Provision(t.Context(), acme))
	p.exec(t, acme, `INSERT INTO things VALUES ('acme', 1), ('acme', 2)`)
	_, err := p.archiver(t).Clone(t.Context(), acme, globex)
	require.NoError(t, err)
	assert.Equal(t, 2, one[int](t, p, globex, `SELECT count(*) FROM things WHERE tenant_id = 'globex'`))

	p.exec(t, acme, `INSERT INTO things VALUES ('somebody', 3)`)
	_, err = p.archiver(t).Export(t.Context(), acme, discardWriter{})
	assert.ErrorIs(t, err, archive.ErrUnsupported)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	seen := time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
	rows := [][]any{
		{"a", true, 1.5, []byte{0, 1}, seen, json.RawMessage(`{"a": 1}`)},
		{"b", nil, nil, []byte{}, nil, nil},
	}
	for _, kind := range []string{"row", "sqlite"} {
		p := newPlace(t, kind)
		require.NoError(t, p.strategy.Provision(t.Context(), acme))
		load := func(ctx context.Context, table string, columns []string, rows [][]any) (n int64, err error) {
			tx, err := p.db.BeginTx(ctx, nil)
			require.NoError(t, err)
			defer func() { _ = tx.Rollback() }()
			if n, err = archive.Load(ctx, tx, table, columns, slices.Values(rows)); err != nil {
				return n, err
			}
			return n, tx.Commit()
		}
		n, err := load(in(t, acme), "customers", []string{"email", "vip", "score", "photo", "seen", "meta"}, rows)
		require.NoError(t, err, kind)
		assert.Equal(t, int64(2), n)
		assert.Equal(t, 1, one[int](t, p, acme, `SELECT count(*) FROM customers WHERE vip AND score = 1.5`))
		assert.True(t, seen.Equal(one[time.Time](t, p, acme, `SELECT seen FROM customers WHERE email = 'a'`)))
		assert.True(t, one[bool](t, p, acme, `SELECT photo IS NOT NULL AND length(photo) = 0 FROM customers WHERE email = 'b'`))
		assert.False(t, one[sql.NullString](t, p, acme, `SELECT meta FROM customers WHERE email = 'b'`).Valid)

		many := make([][]any, 5000)
		for i := range many {
			many[i] = []any{i, nil, "n'o\"d\\e"}
		}
		_, err = load(in(t, acme), "nodes", []string{"id", "parent_id", "name"}, many)
		require.NoError(t, err)
		assert.Equal(t, 5000, one[int](t, p, acme, `SELECT count(*) FROM nodes WHERE name = 'n''o"d\e'`))
		_, err = load(in(t, acme), "nodes", []string{"id", "name"}, [][]any{{1}})
		require.Error(t, err, "a value is missing")
		_, err = load(in(t, acme), "nodes", nil, nil)
		require.Error(t, err)
	}
}
