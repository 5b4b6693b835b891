package archive_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/tenant"
)

// at calls do the first time that a move is at a step.
func at(step archive.Step, do func()) archive.MoveOption {
	var once sync.Once
	return archive.OnProgress(func(r archive.Record) {
		if r.Step == step {
			once.Do(do)
		}
	})
}

// hard are changes after the copy that cannot be followed row by row in any order.
var hard = map[string][]string{
	"a new key":                    {`UPDATE nodes SET id = 1000, parent_id = NULL WHERE id = 58`},
	"parents and children at once": {`INSERT INTO nodes (id, parent_id, name) VALUES (2001, NULL, 'root'), (2000, 2001, 'child')`, `UPDATE nodes SET parent_id = 2000 WHERE id = 59`},
	"a cascade":                    {`DELETE FROM customers WHERE id = 2`},
	"a value that moves on":        {`DELETE FROM customers WHERE email = 'acme 7'`, `INSERT INTO customers (email, vip) VALUES ('acme 7', true)`},
	"values that swap": {
		`UPDATE customers SET email = 'held' WHERE email = 'acme 8'`, `UPDATE customers SET email = 'acme 8' WHERE email = 'acme 9'`,
		`UPDATE customers SET email = 'acme 9' WHERE email = 'held'`,
	},
	"a circle that is cut": {`UPDATE teams SET lead_id = NULL WHERE id = 1`, `DELETE FROM members WHERE team_id = 1`, `DELETE FROM teams WHERE id = 1`},
}

func TestMoveFollowsHardChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"row": "row", "schema": "schema", "sqlite": "sqlite"})
	who := tenant.Tenant{ID: "followed"}
	w.settle(t, "row", who)
	for _, way := range [][2]string{{"row", "sqlite"}, {"sqlite", "schema"}, {"schema", "row"}} {
		from, to := w.places[way[0]], w.places[way[1]]
		mover := w.mover(t, archive.Grace(0), at(archive.Copied, func() {
			for _, name := range []string{"a new key", "parents and children at once", "a cascade", "a value that moves on", "values that swap", "a circle that is cut"} {
				for _, query := range hard[name] {
					from.exec(t, who, query)
				}
			}
		}))
		_, err := mover.Move(t.Context(), who, way[1])
		require.NoError(t, err, "%v", way)
		assert.Equal(t, 1, one[int](t, to, who, `SELECT count(*) FROM nodes WHERE id = 1000`))
		assert.Equal(t, int64(2000), one[int64](t, to, who, `SELECT parent_id FROM nodes WHERE id = 59`))
		assert.Zero(t, one[int](t, to, who, `SELECT count(*) FROM orders WHERE customer_id = 2`))
		assert.Equal(t, 1, one[int](t, to, who, `SELECT count(*) FROM customers WHERE email = 'acme 7' AND vip`))
		assert.Zero(t, one[int](t, to, who, `SELECT count(*) FROM teams WHERE id = 1`))
		if way[0] != "sqlite" && way[1] != "sqlite" {
			assert.Equal(t, from.hashes(t, who), to.hashes(t, who))
		}
		_, err = mover.Finish(t.Context(), who)
		require.NoError(t, err)
		undoHard(t, to, who)
	}
}

// undoHard lets the hard changes be made once more.
func undoHard(t *testing.T, p *place, who tenant.Tenant) {
	t.Helper()
	for _, query := range []string{
		`UPDATE nodes SET id = 58 WHERE id = 1000`, `UPDATE nodes SET parent_id = NULL WHERE id = 59`,
		`DELETE FROM nodes WHERE id = 2000`, `DELETE FROM nodes WHERE id = 2001`,
		`INSERT INTO teams (id) VALUES (1)`, `INSERT INTO members (id, team_id) VALUES (3, 1)`,
	} {
		p.exec(t, who, query)
	}
}

// TestFreezeReachesEveryTransaction has transactions of every kind open while a tenant
// moves away.
func TestFreezeReachesEveryTransaction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"row": "row", "schema": "schema"})
	for _, way := range [][2]string{{"row", "schema"}, {"schema", "row"}} {
		who := tenant.Tenant{ID: tenant.ID("from-" + way[0])}
		w.settle(t, way[0], who)
		ctx, from := in(t, who), w.places[way[0]]
		begin := func(level sql.IsolationLevel, query string) *sql.Tx {
			tx, err := from.db.BeginTx(ctx, &sql.TxOptions{Isolation: level})
			require.NoError(t, err)
			_, err = tx.ExecContext(ctx, query)
			require.NoError(t, err)
			return tx
		}
		const look = `SELECT count(*) FROM orders`
		old := []*sql.Tx{begin(sql.LevelRepeatableRead, look), begin(sql.LevelSerializable, look), begin(sql.LevelReadCommitted, look)}

		// One that has written is waited for, and its rows come along.
		var writes *sql.Tx
		mover := w.mover(t, archive.OnProgress(func(r archive.Record) {
			switch {
			case r.Step == archive.Copied && writes == nil:
				writes = begin(sql.LevelDefault, `INSERT INTO orders (customer_id, note) VALUES (1, 'under way')`)
			case r.Step == archive.Frozen:
				tx := writes
				time.AfterFunc(100*time.Millisecond, func() { _ = tx.Commit() }) // while the freeze waits for it
			}
		}))
		_, err := mover.Move(t.Context(), who, way[1])
		require.NoError(t, err)
		assert.Equal(t, 1, one[int](t, w.places[way[1]], who, `SELECT count(*) FROM orders WHERE note = 'under way'`))
		for _, tx := range old {
			_, err := tx.ExecContext(ctx, `UPDATE orders SET note = 'lost' WHERE quantity = 1`)
			assert.True(t, archive.IsFrozen(err), "%v", err)
			require.NoError(t, tx.Rollback())
		}
	}
}

// TestBusyTenantWritesOn has a transaction that does not end: the tenant is let go
// again, and moves when it can.
func TestBusyTenantWritesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"row": "row", "sqlite": "sqlite"})
	who := tenant.Tenant{ID: "busy"}
	w.settle(t, "row", who)
	ctx, from := in(t, who), w.places["row"]
	var tx *sql.Tx
	thawed := make(chan struct{})
	frozen := 0
	mover := w.mover(t, archive.MaxFrozen(500*time.Millisecond), archive.OnProgress(func(r archive.Record) {
		var err error
		switch {
		case r.Step == archive.Copied && tx == nil:
			tx, err = from.db.BeginTx(ctx, nil)
			require.NoError(t, err)
			_, err = tx.ExecContext(ctx, `INSERT INTO orders (customer_id, note) VALUES (1, 'long')`)
			require.NoError(t, err)
		case r.Step == archive.Frozen:
			frozen++
		case r.Step == archive.Copied && frozen == 1:
			select {
			case <-thawed:
			default:
				close(thawed)
				from.exec(t, who, `INSERT INTO orders (customer_id, note) VALUES (1, 'between')`)
				require.NoError(t, tx.Commit())
			}
		}
	}))
	record, err := mover.Move(t.Context(), who, "sqlite")
	require.NoError(t, err)
	assert.Greater(t, frozen, 1)
	assert.Equal(t, archive.Flipped, record.Step)
	assert.Equal(t, 2, one[int](t, w.places["sqlite"], who, `SELECT count(*) FROM orders WHERE note IN ('long', 'between')`))
}

func TestRollBackAndRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{"row": "row", "schema": "schema"})
	who := tenant.Tenant{ID: "undecided"}
	w.settle(t, "row", who)
	want := w.places["row"].hashes(t, who)
	_, err := w.mover(t).Move(t.Context(), who, "row")
	require.Error(t, err, "to where it is")
	_, err = w.mover(t).Resume(t.Context(), who)
	require.ErrorIs(t, err, archive.ErrNotFound)

	ctx, cancel := context.WithCancel(t.Context())
	_, err = w.mover(t, at(archive.Frozen, cancel)).Move(ctx, who, "schema")
	require.ErrorIs(t, err, context.Canceled)
	w.places["row"].exec(t, who, `UPDATE orders SET note = note`) // it was thawed
	_, err = w.mover(t).Move(t.Context(), who, "schema")
	require.ErrorIs(t, err, archive.ErrConflict, "one is under way")
	open, err := w.journal.Open(t.Context())
	require.NoError(t, err)
	require.Len(t, open, 1)
	record, err := w.mover(t).RollBack(t.Context(), who)
	require.NoError(t, err)
	assert.Equal(t, archive.RolledBack, record.Step)
	require.ErrorIs(t, w.places["schema"].db.PingContext(in(t, who)), isolation.ErrNotProvisioned)
	assert.Equal(t, want, w.places["row"].hashes(t, who))
	var triggers int
	require.NoError(t, w.places["row"].admin.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'tenancy%'`).Scan(&triggers))
	assert.Zero(t, triggers)

	// A home with rows is not the mover's to fill.
	_, err = w.archivers["row"].Clone(t.Context(), who, acme)
	require.NoError(t, err)
	w.placements.put(t, acme, "row")
	require.NoError(t, w.places["schema"].strategy.Provision(t.Context(), acme))
	w.places["schema"].exec(t, acme, `INSERT INTO nodes (id, name) VALUES (1, 'mine')`)
	_, err = w.mover(t).Move(t.Context(), acme, "schema")
	require.ErrorIs(t, err, archive.ErrOccupied)
	_, err = w.mover(t).RollBack(t.Context(), acme)
	require.NoError(t, err)
	assert.Equal(t, 1, one[int](t, w.places["schema"], acme, `SELECT count(*) FROM nodes`))

	// There and back again: whoever left shared tables may return.
	mover := w.mover(t, archive.Grace(0))
	for _, to := range []string{"schema", "row"} {
		_, err = w.mover(t, archive.Grace(time.Hour)).Move(t.Context(), who, to)
		require.NoError(t, err)
		_, err = mover.RollBack(t.Context(), who)
		require.ErrorIs(t, err, archive.ErrFlipped)
		r, err := mover.Finish(t.Context(), who)
		require.NoError(t, err)
		assert.Equal(t, archive.Flipped, r.Step, "the grace is what the move began with")
		r, err = mover.FinishNow(t.Context(), who)
		require.NoError(t, err)
		assert.Equal(t, archive.Done, r.Step)
		if to == "schema" {
			_, err = w.places["row"].db.ExecContext(in(t, who), `INSERT INTO nodes (id, name) VALUES (1, 'late')`)
			require.True(t, archive.IsFrozen(err), "%v", err)
		}
	}
	assert.Equal(t, want, w.places["row"].hashes(t, who))
}
