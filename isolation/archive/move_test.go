package archive_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestMoveBetweenAll moves a tenant between every two strategies, and between two
// clusters of each, while it writes.
func TestMoveBetweenAll(t *testing.T) {
	t.Parallel()
	kindOf := map[string]string{}
	for _, kind := range kinds {
		kindOf[kind], kindOf[kind+"2"] = kind, kind
	}
	w := newWorld(t, kindOf)
	masterArchive(t)
	w.settle(t, "row", globex)
	neighbour := w.places["row"].hashes(t, globex)
	for i, from := range kinds {
		for j, to := range kinds {
			if !thorough.On() && j != (i+1)%len(kinds) && (i != j || i > 0) {
				continue // by default each kind is left and reached once, and one changes its cluster
			}
			if from == to {
				to += "2"
			}
			t.Run(from+" to "+to, func(t *testing.T) {
				moveOnce(t, w, from, to)
			})
		}
	}
	assert.Equal(t, neighbour, w.places["row"].hashes(t, globex), "another tenant's rows")
}

func moveOnce(t *testing.T, w *world, from, to string) {
	who := tenant.Tenant{ID: tenant.ID(fmt.Sprintf("from-%s-to-%s", from, to))}
	w.settle(t, from, who)
	before := w.places[from].hashes(t, who)
	traffic := w.traffic(who, 2)
	traffic.some(t, 5)

	mover := w.mover(t, archive.Grace(0))
	record, err := mover.Move(t.Context(), who, to)
	require.NoError(t, err)
	assert.Equal(t, archive.Flipped, record.Step)
	assert.Less(t, record.Frozen, 2*time.Second+time.Second)
	t.Logf("frozen %s, %d rounds, %d transactions, %d refused", record.Frozen, record.Rounds, traffic.total.Load(), traffic.refused.Load())

	// A process that is late cannot write where the tenant was.
	_, err = w.places[from].db.ExecContext(in(t, who), `INSERT INTO orders (customer_id, note) VALUES (1, 'late')`)
	assert.True(t, archive.IsFrozen(err), "%v", err)
	traffic.some(t, 5)
	traffic.end(t)

	after := w.places[to].hashes(t, who)
	for _, table := range []string{"customers", "teams", "members"} {
		if from != "sqlite" && to != "sqlite" && from != "sqlite2" && to != "sqlite2" {
			assert.Equal(t, before[table], after[table], table)
		}
	}
	record, err = mover.Finish(t.Context(), who)
	require.NoError(t, err)
	assert.Equal(t, archive.Done, record.Step)
	_, err = w.places[from].db.ExecContext(in(t, who), `INSERT INTO orders (customer_id, note) VALUES (1, 'late')`)
	assert.Error(t, err)

	// The next number was never given out.
	p := w.places[to]
	top := one[int64](t, p, who, `SELECT max(id) FROM orders`)
	p.exec(t, who, `INSERT INTO orders (customer_id, note) VALUES (1, 'next')`)
	assert.Greater(t, one[int64](t, p, who, `SELECT id FROM orders WHERE note = 'next'`), top)
}
