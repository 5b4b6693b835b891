package envelope_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

type contact struct {
	Phone envelope.Field[string] `db:"phone" envelope:"patients.phone"`
}

type patient struct {
	ID      int64                      `db:"id"`
	Tenant  string                     `db:"tenant_id"`
	SSN     envelope.Field[string]     `db:"ssn" envelope:"patients.ssn,row=ID"`
	Born    *envelope.Field[time.Time] `db:"born" envelope:"patients.born"`
	Weights envelope.Field[[]float64]  `db:"weights" envelope:"patients.weights"`
	Photo   envelope.Field[[]byte]     `db:"photo" envelope:"patients.photo"`
	contact
}

const patientsTable = `CREATE TABLE patients (id INTEGER PRIMARY KEY, tenant_id TEXT, ssn BLOB, born BLOB, weights BLOB, photo BLOB, phone BLOB, ssn_index BLOB)`

func openDB(t testing.TB) *sqlx.DB {
	t.Helper()
	db, err := sqlx.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "data.db"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), patientsTable)
	require.NoError(t, err)
	return db
}

func ada() patient {
	born := envelope.NewField(time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC))
	return patient{
		ID: 42, Tenant: "acme", SSN: envelope.NewField("078-05-1120"), Born: &born, Weights: envelope.NewField([]float64{51.5, 52}),
		Photo: envelope.NewField([]byte{0, 0xff}), contact: contact{Phone: envelope.NewField("+44 20 7946 0000")},
	}
}

const insertPatient = `INSERT INTO patients (id, tenant_id, ssn, born, weights, photo, phone) VALUES (:id, :tenant_id, :ssn, :born, :weights, :photo, :phone)`

func get[T any](t testing.TB, f envelope.Field[T]) T {
	t.Helper()
	v, err := f.Get()
	require.NoError(t, err)
	return v
}

func TestFieldsWithSqlx(t *testing.T) {
	t.Parallel()
	k, db := fresh(t), openDB(t)
	ctx := as(t, "acme")
	p := ada()
	_, err := db.NamedExecContext(ctx, insertPatient, p)
	require.ErrorIs(t, err, envelope.ErrNotSealed, "nothing is written in the clear")
	require.NoError(t, k.SealFields(ctx, &p))
	_, err = db.NamedExecContext(ctx, insertPatient, p)
	require.NoError(t, err)
	empty := patient{ID: 43, Tenant: "acme"}
	require.NoError(t, k.SealFields(ctx, []*patient{&empty}))
	_, err = db.NamedExecContext(ctx, insertPatient, empty)
	require.NoError(t, err)

	var found []patient
	require.NoError(t, db.SelectContext(ctx, &found, `SELECT id, tenant_id, ssn, born, weights, photo, phone FROM patients ORDER BY id`))
	require.Len(t, found, 2)
	_, err = found[0].SSN.Get()
	require.ErrorIs(t, err, envelope.ErrNotOpened)
	require.NoError(t, k.OpenFields(ctx, found))
	assert.Equal(t, "078-05-1120", get(t, found[0].SSN))
	assert.Equal(t, 1815, get(t, *found[0].Born).Year())
	assert.Equal(t, []float64{51.5, 52}, get(t, found[0].Weights))
	assert.Equal(t, []byte{0, 0xff}, get(t, found[0].Photo))
	assert.Equal(t, "+44 20 7946 0000", get(t, found[0].Phone))
	assert.True(t, found[1].SSN.Null())
	assert.Nil(t, found[1].Born)
	assert.Empty(t, get(t, found[1].SSN))

	// Another tenant, who got hold of the rows, gets what garbage gets.
	var stolen []patient
	require.NoError(t, db.SelectContext(ctx, &stolen, `SELECT * FROM (SELECT id, tenant_id, ssn, born, weights, photo, phone FROM patients) ORDER BY id`))
	require.ErrorIs(t, k.OpenFields(as(t, "globex"), stolen), envelope.ErrOpen)
	_, err = stolen[0].SSN.Get()
	require.ErrorIs(t, err, envelope.ErrNotOpened)
	// A row's ciphertext in another row, and one column's in another.
	_, err = db.ExecContext(ctx, `UPDATE patients SET ssn = (SELECT ssn FROM patients WHERE id = 42) WHERE id = 43`)
	require.NoError(t, err)
	var swapped patient
	require.NoError(t, db.GetContext(ctx, &swapped, `SELECT id, ssn FROM patients WHERE id = 43`))
	require.ErrorIs(t, k.OpenFields(ctx, &swapped), envelope.ErrOpen)
	require.NoError(t, db.GetContext(ctx, &swapped, `SELECT id, phone AS photo FROM patients WHERE id = 42`))
	require.ErrorIs(t, k.OpenFields(ctx, &swapped), envelope.ErrOpen)

	// What was read and changed is sealed anew, with the newest key.
	_, err = k.Rotate(ctx, envelope.Fields)
	require.NoError(t, err)
	found[0].SSN.Set("219-09-9999")
	_, err = found[0].SSN.Value()
	require.ErrorIs(t, err, envelope.ErrNotSealed)
	require.NoError(t, k.SealFields(ctx, &found))
	assert.EqualValues(t, 2, versionOf(t, found[0].SSN.Sealed()))
	assert.EqualValues(t, 2, versionOf(t, found[0].Phone.Sealed()))
}

// What is sealed for one tenant and written by another is of no use to that one.
func TestFieldsCarriedToAnotherTenant(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	p := ada()
	require.NoError(t, k.SealFields(as(t, "acme"), &p))
	var f envelope.Field[string]
	require.NoError(t, f.Scan([]byte(p.SSN.Sealed())))
	require.ErrorIs(t, f.Open(as(t, "globex"), k, ssn.At("42")), envelope.ErrOpen)
	require.NoError(t, f.Seal(as(t, "globex"), k, ssn), "there is nothing to seal")
	require.NoError(t, f.Open(as(t, "acme"), k, ssn.At("42")))
	assert.Equal(t, "078-05-1120", get(t, f))
}

func TestFieldsOfOtherTypes(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	ctx := as(t, "acme")
	f := envelope.NewField("no number")
	require.NoError(t, f.Seal(ctx, k, ssn))
	var n envelope.Field[int]
	require.NoError(t, n.Scan([]byte(f.Sealed())))
	err := n.Open(ctx, k, ssn)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "no number")
	fn := envelope.NewField(func() {})
	require.Error(t, fn.Seal(ctx, k, ssn))
	require.Error(t, n.Scan(7))
	require.Error(t, json.Unmarshal([]byte(`"text"`), &f), "requests do not fill it by themselves")
	type named string
	m := envelope.NewField(named("x"))
	require.NoError(t, m.Seal(ctx, k, ssn))
	var back envelope.Field[named]
	require.NoError(t, back.Scan(string(m.Sealed())))
	require.NoError(t, back.Open(ctx, k, ssn))
	assert.Equal(t, named("x"), get(t, back))
}

func TestSealedInSQL(t *testing.T) {
	t.Parallel()
	k, db := fresh(t), openDB(t)
	sealed := seal(t, k, "acme", ssn, "secret")
	_, err := db.ExecContext(t.Context(), `INSERT INTO patients (id, ssn, phone) VALUES (1, $1, $2)`, sealed, envelope.Sealed(nil))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO patients (id, ssn) VALUES (2, $1)`, envelope.Sealed("plain text, cast by mistake, long enough to pass for more"))
	require.ErrorIs(t, err, envelope.ErrNotSealed)
	var got, null envelope.Sealed
	require.NoError(t, db.QueryRowxContext(t.Context(), `SELECT ssn, phone FROM patients`).Scan(&got, &null))
	requireOpens(t, k, "acme", ssn, got, "secret")
	assert.Nil(t, null)
}

func TestStructsThatAreRefused(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	ctx := as(t, "acme")
	type f = envelope.Field[string]
	for name, dest := range map[string]any{
		"nothing":          nil,
		"a struct":         patient{},
		"a nil pointer":    (*patient)(nil),
		"a nil in a slice": []*patient{nil},
		"a number":         new(int),
		"numbers":          []int{1},
		"no tag":           &struct{ F f }{},
		"no column": &struct {
			F f `envelope:"patients"`
		}{},
		"no table": &struct {
			F f `envelope:".ssn"`
		}{},
		"an unknown option": &struct {
			F f `envelope:"patients.ssn,id"`
		}{},
		"an unknown row": &struct {
			F f `envelope:"patients.ssn,row=ID"`
		}{},
		"a tag on something else": &struct {
			F string `envelope:"patients.ssn"`
		}{},
		"an unexported field": &struct {
			f f `envelope:"patients.ssn"`
		}{},
		"a row's key of no use": &struct {
			ID float64
			F  f `envelope:"patients.ssn,row=ID"`
		}{ID: 1, F: envelope.NewField("x")},
		"a row's key that is not set": &struct {
			ID int
			F  f `envelope:"patients.ssn,row=ID"`
		}{F: envelope.NewField("x")},
	} {
		require.Error(t, k.SealFields(ctx, dest), name)
		require.Error(t, k.OpenFields(ctx, dest), name)
	}
	p := ada()
	require.Error(t, k.SealFields(context.Background(), &p)) //nolint:usetesting // it is to have no tenant
}

type uuid [2]byte

func (u uuid) MarshalText() ([]byte, error) { return []byte{'0' + u[0], '0' + u[1]}, nil }

type node struct {
	ID    uuid
	Value envelope.Field[string] `envelope:"public.nodes.value,row=ID"`
	Next  *node
	Extra struct {
		Key  string
		Note envelope.Field[string] `envelope:"nodes.note,row=Key"`
	}
}

func TestNestedStructs(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	ctx := as(t, "acme")
	n := node{ID: uuid{1, 2}, Value: envelope.NewField("value")}
	n.Extra.Key, n.Extra.Note = "k", envelope.NewField("note")
	require.NoError(t, k.SealFields(ctx, &n))
	requireOpens(t, k, "acme", envelope.Column{Table: "public.nodes", Name: "value", Row: "12"}, n.Value.Sealed(), "value")
	requireOpens(t, k, "acme", envelope.Column{Table: "nodes", Name: "note", Row: "k"}, n.Extra.Note.Sealed(), "note")
}

func TestReencrypt(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	k, db := fresh(t, envelope.WithClock(clock.Now)), openDB(t)
	ctx := as(t, "acme")
	cells := envelope.Cells{Column: ssn, Key: "id", Bound: true, Batch: 7}
	report, err := k.Reencrypt(ctx, db, cells, nil)
	require.NoError(t, err)
	assert.Zero(t, report)
	for id := 1; id <= 30; id++ {
		p := patient{ID: int64(id), SSN: envelope.NewField("secret")}
		require.NoError(t, k.SealFields(ctx, &p))
		_, err := db.NamedExecContext(ctx, insertPatient, p)
		require.NoError(t, err)
	}
	_, err = db.ExecContext(ctx, `INSERT INTO patients (id, ssn) VALUES (31, NULL), (32, x'0011')`)
	require.NoError(t, err)
	_, err = k.Rotate(ctx, envelope.Fields)
	require.NoError(t, err)

	stop, cancel := context.WithCancel(ctx)
	report, err = k.Reencrypt(stop, db, cells, func(envelope.ReencryptReport) { cancel() })
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 7, report.Sealed)
	report, err = k.Reencrypt(ctx, db, cells, nil)
	require.NoError(t, err)
	assert.Equal(t, envelope.ReencryptReport{Sealed: 23, Failed: []any{int64(32)}}, report)

	clock.Advance(time.Hour)
	_, err = k.Retire(ctx, envelope.Fields, 2)
	require.NoError(t, err)
	var all []patient
	require.NoError(t, db.SelectContext(ctx, &all, `SELECT id, ssn FROM patients WHERE id <= 31 ORDER BY id`))
	require.NoError(t, k.OpenFields(ctx, all))
	for _, p := range all[:30] {
		assert.Equal(t, "secret", get(t, p.SSN))
	}
	_, err = k.Reencrypt(ctx, db, envelope.Cells{Column: ssn}, nil)
	require.Error(t, err)
}

// meddling is a database in which another program writes just before Reencrypt does.
type meddling struct {
	*sqlx.DB
	before string
}

func (m meddling) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if _, err := m.DB.ExecContext(ctx, m.before); err != nil {
		return nil, err
	}
	return m.DB.ExecContext(ctx, query, args...)
}

func TestReencryptKeepsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	k, db := fresh(t), openDB(t)
	ctx := as(t, "acme")
	_, err := db.ExecContext(ctx, `INSERT INTO patients (id, ssn) VALUES (1, $1)`, seal(t, k, "acme", ssn, "old"))
	require.NoError(t, err)
	_, err = k.Rotate(ctx, envelope.Fields)
	require.NoError(t, err)
	report, err := k.Reencrypt(ctx, meddling{db, `UPDATE patients SET ssn = x'1234'`}, envelope.Cells{Column: ssn, Key: "id"}, nil)
	require.NoError(t, err)
	assert.Equal(t, envelope.ReencryptReport{Changed: 1}, report)
	var got []byte
	require.NoError(t, db.GetContext(ctx, &got, `SELECT ssn FROM patients`))
	assert.Equal(t, []byte{0x12, 0x34}, got)
}
