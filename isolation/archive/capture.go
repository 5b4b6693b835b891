package archive

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// capture records at a home which rows a tenant changes, and closes the home to
// the tenant's writes. It lives in the home itself, so it holds for every process,
// whatever its state.
type capture interface {
	// install begins to record. What committed before it returns is seen by every
	// snapshot taken later, and what commits later is recorded.
	install(ctx context.Context, conn *sql.Conn) error
	// freeze makes writes fail. Once it returns, no transaction that wrote before is
	// left, and none that comes later can write.
	freeze(ctx context.Context, conn *sql.Conn) error
	// thaw lets writes through again.
	thaw(ctx context.Context, conn *sql.Conn) error
	// remove ends recording, and leaves nothing.
	remove(ctx context.Context, conn *sql.Conn) error
	// leave prepares for the removal of the home. What keeps a process that is late
	// from writing here stays, in shared tables for good.
	leave(ctx context.Context, conn *sql.Conn) error
	// reopen takes away what leave left.
	reopen(ctx context.Context, conn *sql.Conn) error
	// changes returns what the snapshot of tx has of records.
	changes(ctx context.Context, conn *sql.Conn, tx *sql.Tx) (changes, error)
}

// changes are recorded keys.
type changes interface {
	// keys returns those of t, each once.
	keys(ctx context.Context, t *table) (keySet, error)
	// forget removes all that were there.
	forget(ctx context.Context) error
	close()
}

func captureOf(h isolation.Home, t tenant.Tenant, tables []*table) capture {
	if h.Dialect == "sqlite" {
		return &sqliteCapture{tables: tables}
	}
	sum := sha256.Sum256([]byte(t.ID))
	return &pgCapture{
		schema: quote(h.Schemas[0]), base: ours + hex.EncodeToString(sum[:6]), shared: h.Shared,
		id: t.ID, tables: tables, lock: lockKey("archive/move/" + h.Key + "/" + string(t.ID)),
	}
}

func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("tenancy/" + name))
	return int64(binary.BigEndian.Uint64(sum[:])) //nolint:gosec // any 64 bits make a key
}

// checkKeys returns an error unless every table has a key, by which a changed row is
// found again.
func checkKeys(tables []*table) error {
	for _, t := range tables {
		if len(t.key) == 0 || len(t.key) > maxKey {
			return fmt.Errorf("%w: table %s has no primary key of 1 to %d columns besides the tenant's; a move cannot follow its changes", ErrUnsupported, t.name, maxKey)
		}
	}
	return nil
}

// maxKey is how many columns a key may have.
const maxKey = 8

// keySet is a list of keys in little memory.
type keySet struct {
	columns int
	buf     []byte
	ends    []int
}

func (s *keySet) add(key []value) {
	for _, v := range key {
		s.buf = appendValue(s.buf, v)
	}
	s.ends = append(s.ends, len(s.buf))
}

func (s *keySet) len() int { return len(s.ends) }

// raw returns key i as it is written in rows.
func (s *keySet) raw(i int) []byte {
	start := 0
	if i > 0 {
		start = s.ends[i-1]
	}
	return s.buf[start:s.ends[i]]
}

// batches calls work with some keys at a time.
func (s *keySet) batches(work func(keys [][]value) error) error {
	for start := 0; start < s.len(); start += keyBatch {
		var keys [][]value
		for i := start; i < min(start+keyBatch, s.len()); i++ {
			key, _, err := cutRow(nil, s.raw(i), s.columns)
			if err != nil {
				return err
			}
			keys = append(keys, key)
		}
		if err := work(keys); err != nil {
			return err
		}
	}
	return nil
}

// keyBatch is how many rows are looked up with one statement.
const keyBatch = 500
