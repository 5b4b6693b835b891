package archive_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/fleet"
	"github.com/tenancy-go/tenancy/isolation/inspect"
)

// TestRecordersServeNobodyElse puts a move's own trigger function on a table of a
// tenant's, whose column has a type with a cast of the tenant's.
func TestRecordersServeNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"row": "row", "schema": "schema"})
	w.settle(t, "row", acme, globex)
	home := w.places["row"]
	_, err := home.admin.ExecContext(t.Context(), `ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO `+home.role)
	require.NoError(t, err)
	attacked := false
	mover := w.mover(t, archive.Grace(0), at(archive.Captured, func() {
		_, err := home.admin.ExecContext(t.Context(), `DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO `+home.role+`', current_database()); END $$`)
		assert.NoError(t, err)
		names, err := home.admin.QueryContext(t.Context(), `SELECT oid::regproc::text FROM pg_proc WHERE starts_with(proname, 'tenancy_move_')`)
		if !assert.NoError(t, err) {
			return
		}
		defer func() { assert.NoError(t, names.Close()) }()
		for names.Next() {
			var name string
			assert.NoError(t, names.Scan(&name))
			tx, err := home.db.BeginTx(in(t, globex), nil)
			if !assert.NoError(t, err) {
				return
			}
			_, err = tx.ExecContext(in(t, globex), `CREATE TEMP TABLE mine (id bigint)`)
			assert.NoError(t, err)
			_, err = tx.ExecContext(in(t, globex), `CREATE TRIGGER x AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION `+name+`()`)
			assert.ErrorContains(t, err, "permission denied for function", name)
			assert.NoError(t, tx.Rollback())
			attacked = true
		}
		assert.NoError(t, names.Err())
	}))
	_, err = mover.Move(t.Context(), acme, "schema")
	require.NoError(t, err)
	assert.True(t, attacked)
}

// homes is a fleet that looks at the homes of a place.
func homes(t *testing.T, w *world, home *place) *fleet.Fleet {
	t.Helper()
	ledger, err := fleet.NewLedger(w.control, fleet.OnPostgres)
	require.NoError(t, err)
	migrations, err := fleet.Load(map[string]fs.FS{"row": sharedTables(), "schema": ownTables(), "sqlite": fileTables()}[home.name])
	require.NoError(t, err)
	f, err := fleet.New(home.strategy, ledger, migrations)
	require.NoError(t, err)
	return f
}

// TestMovesAreNeitherHolesNorDrift moves a tenant, and looks at its old home before, while
// and after what the move needs stands there.
func TestMovesAreNeitherHolesNorDrift(t *testing.T) {
	t.Parallel()
	for _, way := range [][2]string{{"row", "schema"}, {"schema", "row"}, {"sqlite", "schema"}} {
		t.Run(way[0], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{way[0]: way[0], way[1]: way[1]})
			w.settle(t, way[0], acme)
			w.settle(t, way[0], globex)
			home := w.places[way[0]]
			f := homes(t, w, home)
			reference, err := f.Snapshot(t.Context(), globex)
			require.NoError(t, err)
			look := func(step archive.Step) func() {
				return func() {
					found, err := f.Snapshot(t.Context(), acme)
					if assert.NoError(t, err, step) {
						assert.Equal(t, reference.Objects, found.Objects, step)
					}
					if way[0] == "sqlite" {
						return
					}
					target := inspect.Rows(home.role)
					if way[0] == "schema" {
						target = inspect.Schemas(home.role)
					}
					report, err := inspect.Run(t.Context(), home.admin, target)
					if assert.NoError(t, err, step) {
						assert.NoError(t, report.Err(inspect.Low), step)
					}
				}
			}
			look("before")()
			steps := []archive.MoveOption{archive.Grace(0), at(archive.Captured, look(archive.Captured))}
			if way[0] == "row" { // others are locked from then on
				steps = append(steps, at(archive.Frozen, look(archive.Frozen)), at(archive.Flipped, look(archive.Flipped)))
			}
			_, err = w.mover(t, steps...).Move(t.Context(), acme, way[1])
			require.NoError(t, err)
			if way[0] == "row" {
				look("after")()
			}
		})
	}
}
