package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// ownerFunc runs work on a connection of the home's owner.
type ownerFunc func(ctx context.Context, work func(ctx context.Context, conn *sql.Conn) error) error

// owner returns an ownerFunc that opens a connection.
func (a *Archiver) owner(t tenant.Tenant) ownerFunc {
	return func(ctx context.Context, work func(context.Context, *sql.Conn) error) error {
		return a.strategy.Administer(ctx, t, func(ctx context.Context, conn *sql.Conn, _ isolation.Home) error { return work(ctx, conn) })
	}
}

// setSequences lets the home's sequences go on where the archive's were, and past
// the largest number that tx sees in their column. Sequences know no transactions: if
// tx is rolled back after all, some numbers are left out.
func setSequences(ctx context.Context, tx *sql.Tx, d dialect, h *home, archived []Sequence, as ownerFunc) error {
	next, err := h.advances(ctx, tx, archived)
	if err != nil || len(next) == 0 {
		return err
	}
	if _, ok := d.(sqliteDialect); ok {
		return setSQLiteSequences(ctx, tx, next)
	}
	return as(ctx, func(ctx context.Context, conn *sql.Conn) error {
		for _, s := range next {
			if err := s.set(ctx, conn); err != nil {
				return fmt.Errorf("archive: set sequence %s: %w", s.name, err)
			}
		}
		return nil
	})
}

// advances returns the home's sequences that have to go on, as they are to be. A
// shared one never goes back, and no tenant takes much of what is left of its range.
func (h *home) advances(ctx context.Context, tx *sql.Tx, archived []Sequence) ([]*sequence, error) {
	reached, err := h.match(archived)
	if err != nil {
		return nil, err
	}
	var next []*sequence
	for _, s := range h.sequences {
		to := *s
		from, known := reached[s]
		if known && from.Used && (from.Last > to.last || !to.used || !s.shared) {
			to.last, to.used = from.Last, true
		}
		if s.max != "" {
			var largest sql.NullInt64
			if err := tx.QueryRowContext(ctx, s.max).Scan(&largest); err != nil {
				return nil, err
			}
			if largest.Valid && (largest.Int64 > to.last || !to.used) && largest.Int64 >= s.first {
				to.last, to.used = largest.Int64, true
			}
		}
		if !to.used || to.last == s.last && s.used {
			continue
		}
		if s.shared && s.spends(to.last) {
			return nil, fmt.Errorf("%w: the tenant's numbers reach %d, and the sequence of %s, which all tenants share, is at %d: "+
				"going on from there would use up what the others have left; name %[3]s in Exclude to leave the sequence "+
				"where it is, or set it with setval first", ErrUnsupported, to.last, s.name, s.last)
		}
		next = append(next, &to)
	}
	return next, nil
}

// spends reports whether to go on from last takes too much from a sequence's range: past
// its middle, more than a thousandth of what is left.
func (s *sequence) spends(last int64) bool {
	const part = 1000
	return last > s.first/2+s.limit/2 && uint64(last)-uint64(s.last) > (uint64(s.limit)-uint64(s.last))/part
}

// set sets a sequence of PostgreSQL. In between, another tenant may have advanced a
// shared one.
func (s *sequence) set(ctx context.Context, conn *sql.Conn) error {
	query := "SELECT pg_catalog.setval($1::pg_catalog.regclass, $2)"
	if s.shared {
		query = "SELECT pg_catalog.setval($1::pg_catalog.regclass, GREATEST($2, last_value)) FROM " + s.ref
	}
	_, err := conn.ExecContext(ctx, query, s.ref, s.last)
	return err
}

func setSQLiteSequences(ctx context.Context, tx *sql.Tx, next []*sequence) error {
	for _, s := range next {
		result, err := tx.ExecContext(ctx, "UPDATE sqlite_sequence SET seq = ? WHERE name = ?", s.last, s.ref)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", s.ref, s.last); err != nil {
			return err
		}
	}
	return nil
}

// match finds the home's sequence of each archived one. A column that is numbered
// there and not here needs none; a sequence that is nobody's must not be lost.
func (h *home) match(archived []Sequence) (map[*sequence]Sequence, error) {
	found := map[*sequence]Sequence{}
	for _, from := range archived {
		prefix, last := "", from.Name
		if i := strings.LastIndexByte(from.Name, '.'); i >= 0 {
			prefix, last = from.Name[:i], from.Name[i+1:]
		}
		t := h.find(prefix)
		i := slices.IndexFunc(h.sequences, func(s *sequence) bool {
			return s.table == nil && (s.name == from.Name || s.name == last) || s.table != nil && s.table == t && s.column == last
		})
		switch {
		case i >= 0:
			found[h.sequences[i]] = from
		case t == nil:
			return nil, fmt.Errorf("%w: there is no sequence %s; name it in Exclude if it is not needed", ErrSchema, from.Name)
		}
	}
	return found, nil
}

// now returns how far s has counted.
func (s *sequence) now(ctx context.Context, conn *sql.Conn) (Sequence, error) {
	now := Sequence{Name: s.name}
	err := conn.QueryRowContext(ctx, s.state).Scan(&now.Last, &now.Used)
	if errors.Is(err, sql.ErrNoRows) { // SQLite has no entry for a table without rows
		err = nil
	}
	return now, err
}
