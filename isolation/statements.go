package isolation

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// statements are those prepared on one physical connection for its owner, by
// query: those of *sql.Stmt, and queries that came again. They do not outlive the
// owner: their texts may hold literals, which PostgreSQL shows to whoever is on the
// connection, and their types are those of the owner's tables.
type statements struct {
	prepared *simplelru.LRU[string, driver.Stmt] // nil until the first
	seen     *simplelru.LRU[string, struct{}]    // queries that ran once; nil until the first
}

// unbounded, since statements in use must not be closed: trim bounds them.
const unbounded = int(^uint(0) >> 1)

// prepare returns query prepared on the connection, and whether it is kept there
// for others. lib/pq begins to run a COPY when it is prepared: such a statement,
// which has no number of parameters and takes no context, belongs to its caller.
func (p *physical) prepare(ctx context.Context, query string) (driver.Stmt, bool, error) {
	if s, ok := p.stmts.get(query); ok {
		return s, true, nil
	}
	s, err := prepareOn(ctx, p.conn, query)
	if err != nil {
		return nil, false, p.noted(ctx, err)
	}
	if _, ordinary := s.(driver.StmtQueryContext); s.NumInput() < 0 && !ordinary {
		return s, false, nil
	}
	p.stmts.add(query, s)
	return s, true, nil
}

// repeated returns query prepared, if it ran on this connection before: the second
// time pays for preparing it, and those after save parsing and planning. Of up to
// most queries the connection remembers that they ran.
func (p *physical) repeated(ctx context.Context, query string, most int) (driver.Stmt, error) {
	if s, ok := p.stmts.get(query); ok {
		return s, nil
	}
	if !p.stmts.again(query, most) {
		return nil, nil
	}
	s, kept, err := p.prepare(ctx, query)
	if err == nil && !kept {
		err = s.Close()
		s = nil
	}
	return s, err
}

func prepareOn(ctx context.Context, conn driver.Conn, query string) (driver.Stmt, error) {
	if c, ok := conn.(driver.ConnPrepareContext); ok {
		return c.PrepareContext(ctx, query)
	}
	return conn.Prepare(query)
}

func (s *statements) get(query string) (driver.Stmt, bool) {
	if s.prepared == nil {
		return nil, false
	}
	return s.prepared.Get(query)
}

func (s *statements) add(query string, prepared driver.Stmt) {
	if s.prepared == nil {
		s.prepared, _ = simplelru.NewLRU[string, driver.Stmt](unbounded, nil) // fails for a size below 1 only
	}
	s.prepared.Add(query, prepared)
}

// again reports whether query ran before, and remembers that it did.
func (s *statements) again(query string, most int) bool {
	if s.seen == nil {
		s.seen, _ = simplelru.NewLRU[string, struct{}](most, nil) // fails for a size below 1 only
	}
	if s.seen.Remove(query) {
		return true
	}
	s.seen.Add(query, struct{}{})
	return false
}

// forget closes the statement of query.
func (s *statements) forget(query string) {
	if s.prepared == nil {
		return
	}
	if prepared, ok := s.prepared.Peek(query); ok {
		s.prepared.Remove(query)
		_ = prepared.Close() // a server that lost it has closed it
	}
}

// trim closes the least recently used statements down to n, at a round trip each.
func (s *statements) trim(n int) {
	for s.prepared != nil && s.prepared.Len() > n {
		_, prepared, _ := s.prepared.RemoveOldest()
		_ = prepared.Close() // the connection's own state tells what it is worth
	}
}

// isStale reports whether PostgreSQL refused a prepared statement because its
// columns have changed since, as a migration brings about, or because it is gone, as
// where SQL of the tenant before has dropped it.
func isStale(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && (state.SQLState() == "0A000" || state.SQLState() == "26000")
}

// neverRan reports whether the statement that failed with err is certain not to
// have begun. The server says so in English only, so elsewhere the answer is no.
func neverRan(err error) bool {
	return isStale(err) && (strings.Contains(err.Error(), "cached plan must not change result type") ||
		strings.Contains(err.Error(), "prepared statement") && strings.Contains(err.Error(), "does not exist"))
}
