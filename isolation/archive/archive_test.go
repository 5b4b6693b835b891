package archive_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/archive"
)

// TestRoundTrip takes a tenant from shared rows through all other strategies and
// back, and wants every byte, and the sequences, as they were.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	from := newPlace(t, "row")
	from.fill(t, globex, acme)
	neighbour := from.hashes(t, globex)
	want := from.hashes(t, acme)
	var file bytes.Buffer
	first, err := from.archiver(t).Export(t.Context(), acme, &file)
	require.NoError(t, err)
	assert.Equal(t, int64(43), first.Tables[0].Rows)

	for _, kind := range []string{"schema", "database", "sqlite", "row"} {
		to := newPlace(t, kind)
		a := to.archiver(t)
		restored, err := a.Restore(t.Context(), acme, &file)
		require.NoError(t, err, kind)
		assert.Equal(t, first.Rows(), restored.Rows())
		file.Reset()
		m, err := a.Export(t.Context(), acme, &file)
		require.NoError(t, err)
		if kind != "sqlite" { // which has its own names for some kinds
			assert.Equal(t, want, hashesOf(m), kind)
		}
		checkSequence(t, to, first)
	}
	assert.Equal(t, neighbour, from.hashes(t, globex))
}

// checkSequence wants the next number to be one that was never given out.
func checkSequence(t *testing.T, p *place, m archive.Manifest) {
	t.Helper()
	for _, s := range m.Sequences {
		if s.Name != "orders.id" {
			continue
		}
		p.exec(t, acme, `INSERT INTO orders (customer_id, note) SELECT max(id), 'next' FROM customers`)
		assert.Equal(t, s.Last+1, one[int64](t, p, acme, `SELECT id FROM orders WHERE note = 'next'`), p.name)
		p.exec(t, acme, `DELETE FROM orders WHERE note = 'next'`)
		return
	}
	assert.Fail(t, "no sequence orders.id")
}
