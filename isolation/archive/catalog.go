package archive

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/isolation"
)

// ours begins the names of what moves leave in a home while they run.
const ours = "tenancy_move_"

// describe reads the catalog of a home, as its owner.
func (a *Archiver) describe(ctx context.Context, conn *sql.Conn, h isolation.Home) (*home, error) {
	var found *home
	var err error
	switch h.Dialect {
	case "postgres":
		found, err = describePostgres(ctx, conn, h, a.column)
	case "sqlite":
		found, err = describeSQLite(ctx, conn, h, a.column)
	default:
		err = fmt.Errorf("%w: dialect %q", ErrUnsupported, h.Dialect)
	}
	if err != nil {
		return nil, fmt.Errorf("archive: read catalog: %w", err)
	}
	if found.tables, err = a.choose(found.tables); err != nil {
		return nil, err
	}
	found.keepSequences(a.excluded)
	if found.tables, err = sortTables(found.tables); err != nil {
		return nil, err
	}
	found.version = a.version
	return found, nil
}

// choose returns the registered tables. One that is neither registered nor excluded
// is an error, and so is a registered one that is not there.
func (a *Archiver) choose(tables []*table) ([]*table, error) {
	var chosen []*table
	var unknown []string
	for _, t := range tables {
		switch {
		case named(a.excluded, t):
		case a.tables == nil || named(a.tables, t):
			chosen = append(chosen, t)
		default:
			unknown = append(unknown, t.name)
		}
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%w: %s; name them in Tables or in Exclude", ErrUnregistered, strings.Join(unknown, ", "))
	}
	for _, name := range a.tables {
		if !slices.ContainsFunc(tables, func(t *table) bool { return t.is(name) }) {
			return nil, fmt.Errorf("%w: there is no table %s with rows of tenants", ErrSchema, name)
		}
	}
	for _, t := range chosen {
		if err := t.check(); err != nil {
			return nil, err
		}
	}
	return chosen, nil
}

// is reports whether name, with or without a schema, is t's.
func (t *table) is(name string) bool { return name == t.name || name == t.bare || name == t.full }

func named(names []string, t *table) bool { return slices.ContainsFunc(names, t.is) }

// check returns what keeps t from being archived.
func (t *table) check() error {
	if t.obstacle != "" {
		return fmt.Errorf("%w: table %s %s; name it in Exclude, and bring its rows over another way", ErrUnsupported, t.name, t.obstacle)
	}
	if len(t.columns) == 0 {
		return fmt.Errorf("%w: table %s has no columns", ErrUnsupported, t.name)
	}
	return nil
}

// keepSequences drops those of tables that were not chosen, and excluded ones.
func (h *home) keepSequences(excluded []string) {
	h.sequences = slices.DeleteFunc(h.sequences, func(s *sequence) bool {
		return slices.Contains(excluded, s.name) || s.table != nil && !slices.Contains(h.tables, s.table)
	})
}
