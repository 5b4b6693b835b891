package archive_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/tenant"
)

// placements keeps where tenants live in a table, as a host would.
type placements struct{ db *sql.DB }

func newPlacements(t testing.TB, db *sql.DB) placements {
	t.Helper()
	_, err := db.ExecContext(t.Context(), `CREATE TABLE IF NOT EXISTS placements (tenant text PRIMARY KEY, place text NOT NULL, version int NOT NULL DEFAULT 1)`)
	require.NoError(t, err)
	return placements{db}
}

func (p placements) put(t testing.TB, who tenant.Tenant, place string) {
	t.Helper()
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO placements (tenant, place) VALUES ($1, $2)
		ON CONFLICT (tenant) DO UPDATE SET place = excluded.place`, string(who.ID), place)
	require.NoError(t, err)
}

func (p placements) Placed(ctx context.Context, id tenant.ID) (place string, err error) {
	err = p.db.QueryRowContext(ctx, `SELECT place FROM placements WHERE tenant = $1`, string(id)).Scan(&place)
	return place, err
}

func (p placements) Flip(ctx context.Context, id tenant.ID, from, to string) error {
	result, err := p.db.ExecContext(ctx, `UPDATE placements SET place = $3, version = version + 1 WHERE tenant = $1 AND place = $2`, string(id), from, to)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("%w: tenant %s is not in %s", archive.ErrConflict, id, from), err)
	}
	return nil
}

// world is places between which tenants move, and the control database.
type world struct {
	places     map[string]*place
	archivers  map[string]*archive.Archiver
	placements placements
	journal    archive.Journal
	control    *sql.DB
}

// newWorld makes places, by name and kind.
func newWorld(t testing.TB, kindOf map[string]string) *world { return worldOf(t, kindOf, testFiles()) }

func worldOf(t testing.TB, kindOf map[string]string, f files) *world {
	t.Helper()
	control := placeOf(t, "row", f) // its database is as good as any
	journal, err := archive.NewSQLJournal(t.Context(), control.admin)
	require.NoError(t, err)
	w := &world{
		places: map[string]*place{}, archivers: map[string]*archive.Archiver{},
		placements: newPlacements(t, control.admin), journal: journal, control: control.admin,
	}
	for name, kind := range kindOf {
		if kind == "row" && control != nil {
			w.places[name], control = control, nil
		} else {
			w.places[name] = placeOf(t, kind, f)
		}
		w.archivers[name] = w.places[name].archiver(t)
	}
	return w
}

func (w *world) mover(t testing.TB, opts ...archive.MoveOption) *archive.Mover {
	t.Helper()
	drain := archive.Drain(func(_ context.Context, id tenant.ID) error {
		for _, p := range w.places {
			p.pool.Forget(id)
		}
		return nil
	})
	m, err := archive.NewMover(w.journal, w.placements, w.archivers, append([]archive.MoveOption{drain}, opts...)...)
	require.NoError(t, err)
	return m
}

// master is an archive of the tests' rows.
var master = struct {
	sync.Mutex
	data []byte
}{}

// masterArchive makes it once.
func masterArchive(t testing.TB) []byte {
	t.Helper()
	master.Lock()
	defer master.Unlock()
	if master.data == nil {
		p := newPlace(t, "schema")
		p.fill(t, acme)
		var file bytes.Buffer
		_, err := p.archiver(t).Export(t.Context(), acme, &file)
		require.NoError(t, err)
		master.data = file.Bytes()
	}
	return master.data
}

// settle gives tenants a home in a place, with the tests' rows.
func (w *world) settle(t testing.TB, place string, who ...tenant.Tenant) {
	t.Helper()
	for _, o := range who {
		_, err := w.archivers[place].Restore(t.Context(), o, bytes.NewReader(masterArchive(t)), archive.AsClone())
		require.NoError(t, err)
		w.placements.put(t, o, place)
	}
}

// traffic is an application that writes for a tenant while it is moved.
type traffic struct {
	*world
	tenant tenant.Tenant
	stop   chan struct{}
	group  errgroup.Group

	mu      sync.Mutex
	acked   map[string]int // note of an order that was acknowledged -> quantity
	removed map[string]bool
	refused atomic.Int64
	total   atomic.Int64
}

func (w *world) traffic(who tenant.Tenant, writers int) *traffic {
	tr := &traffic{world: w, tenant: who, stop: make(chan struct{}), acked: map[string]int{}, removed: map[string]bool{}}
	for n := range writers {
		tr.group.Go(func() error { return tr.write(n) })
	}
	return tr
}

// write runs transactions until stop. One that was refused, because the tenant is
// frozen or its place has changed, is tried again from its beginning.
func (tr *traffic) write(n int) error {
	ctx := tenant.NewContext(context.Background(), tr.tenant)
	var mine []string
	pace := time.NewTicker(10 * time.Millisecond) // an application has pauses, too
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-tr.stop:
			return nil
		case <-pace.C:
		}
		note := fmt.Sprintf("w%d-%d", n, i)
		victim := ""
		if len(mine) > 3 && i%3 == 0 {
			victim = mine[0]
		}
		for {
			err := tr.transact(ctx, note, victim, i)
			if err == nil {
				break
			}
			if !archive.IsFrozen(err) {
				return fmt.Errorf("writer %d: %w", n, err)
			}
			tr.refused.Add(1)
			select {
			case <-tr.stop:
				return nil
			case <-pace.C:
			}
		}
		tr.total.Add(1)
		mine = append(mine, note)
		tr.mu.Lock()
		tr.acked[note] = i
		if victim != "" {
			delete(tr.acked, victim)
			tr.removed[victim] = true
			mine = mine[1:]
		}
		tr.mu.Unlock()
	}
}

// transact inserts an order, counts in an older one, deletes one, and renames a node,
// in one transaction in the tenant's place.
func (tr *traffic) transact(ctx context.Context, note, victim string, i int) error {
	at, err := tr.placements.Placed(ctx, tr.tenant.ID)
	if err != nil {
		return err
	}
	tx, err := tr.places[at].db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	steps := []struct {
		query string
		args  []any
	}{
		{`INSERT INTO orders (customer_id, note, quantity) VALUES (1, $1, $2)`, []any{note, i}},
		{`DELETE FROM orders WHERE note = $1`, []any{victim}},
		{`UPDATE nodes SET name = $1, parent_id = $2 WHERE id = $3`, []any{note, 1 + i%5, 10 + i%40}},
	}
	for _, s := range steps {
		if _, err := tx.ExecContext(ctx, s.query, s.args...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// end stops the writers, and wants every acknowledged order to be there once, with
// its quantity, and every deleted one gone.
func (tr *traffic) end(t testing.TB) {
	t.Helper()
	close(tr.stop)
	require.NoError(t, tr.group.Wait())
	at, err := tr.placements.Placed(t.Context(), tr.tenant.ID)
	require.NoError(t, err)
	rows, err := tr.places[at].db.QueryContext(in(t, tr.tenant), `SELECT note, quantity FROM orders WHERE note LIKE 'w%'`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	got := map[string]int{}
	for rows.Next() {
		var note string
		var quantity int
		require.NoError(t, rows.Scan(&note, &quantity))
		_, twice := got[note]
		assert.False(t, twice, note)
		got[note] = quantity
	}
	require.NoError(t, rows.Err())
	for note, quantity := range tr.acked {
		assert.Equal(t, quantity, got[note], "%s: acknowledged, and lost", note)
	}
	for note := range tr.removed {
		assert.NotContains(t, got, note, "deleted, and there")
	}
	require.NotZero(t, tr.total.Load())
}

// some waits until the application has written n more transactions.
func (tr *traffic) some(t testing.TB, n int64) {
	t.Helper()
	for until := tr.total.Load() + n; tr.total.Load() < until; {
		select {
		case <-t.Context().Done():
			t.Fatal("nothing is written")
		case <-time.After(time.Millisecond):
		}
	}
}

// touch updates rows of events, one at a time, until stop is closed.
func (w *world) touch(who tenant.Tenant, stop chan struct{}) error {
	ctx := tenant.NewContext(context.Background(), who)
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for n := 1; ; n++ {
		select {
		case <-stop:
			return nil
		case <-pace.C:
		}
		at, err := w.placements.Placed(ctx, who.ID)
		if err != nil {
			return err
		}
		_, err = w.places[at].db.ExecContext(ctx, `UPDATE events SET kind = 'touched' WHERE id = $1`, n)
		if err != nil && !archive.IsFrozen(err) {
			return err
		}
	}
}
