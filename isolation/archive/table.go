package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// home is what a catalog says of a tenant's home.
type home struct {
	tables    []*table // in the order in which rows can be inserted
	sequences []*sequence
	version   string // of the schema
}

// table is a tenant's table as its database has it.
type table struct {
	name       string // as archives have it: with its schema only where it is not the first
	bare       string // without a schema
	full       string // with it
	obstacle   string // why it cannot be archived, or ""
	ref        string // quoted, for statements
	columns    []column
	key        []string // the primary key, or a unique one in its place, without the tenant's column
	unique     []string // key, and with it the tenant's column where it is part of it
	references []reference
	// owner is the tenant's column, quoted, or "" if there is none. filled tells
	// that its default fills it in.
	owner  string
	filled bool
	late   []reference // those whose rows may come after this table's
}

// column is one that archives hold: neither generated nor the tenant's.
type column struct {
	name string
	kind Kind
	typ  string // what PostgreSQL casts to
	null bool
}

// reference is a foreign key.
type reference struct {
	columns    []string
	to         string // the ref of the other table
	null       bool   // all columns may be null
	deferrable bool
}

// sequence hands out numbers.
type sequence struct {
	name   string // as archives have it: table.column, or its own name if it is nobody's
	table  *table // whose column it fills; nil if it is nobody's
	column string
	ref    string
	state  string // the query for last and used
	max    string // the query for the largest value of its column; "" if it is nobody's
	last   int64  // handed out last
	first  int64  // handed out by a new one
	limit  int64  // past which it, or its column, can hold none
	used   bool
	shared bool // by other tenants
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

func (t *table) column(name string) *column {
	for i := range t.columns {
		if t.columns[i].name == name {
			return &t.columns[i]
		}
	}
	return nil
}

// links returns the names of the columns that are set only once all rows are there:
// those of late references that are checked at once.
func (t *table) links() []string {
	var names []string
	for _, r := range t.late {
		for _, c := range r.columns {
			if !r.deferrable && t.column(c) != nil && !slices.Contains(names, c) && !slices.Contains(t.key, c) {
				names = append(names, c)
			}
		}
	}
	slices.Sort(names)
	return names
}

// sortTables orders tables so that each comes after those it refers to. Where they
// refer to each other in a circle, references that may wait are late.
func sortTables(tables []*table) ([]*table, error) {
	slices.SortFunc(tables, func(a, b *table) int { return strings.Compare(a.name, b.name) })
	placed := make(map[string]bool)
	known := make(map[string]bool)
	for _, t := range tables {
		known[t.ref] = true
	}
	var sorted []*table
	left := slices.Clone(tables)
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(t *table) bool { return len(open(t, known, placed)) == 0 })
		if i < 0 {
			i = slices.IndexFunc(left, func(t *table) bool { return canWait(open(t, known, placed)) })
		}
		if i < 0 {
			return nil, circle(left, known, placed)
		}
		t := left[i]
		t.late = open(t, known, placed)
		for _, r := range t.references {
			if r.to == t.ref {
				if !canWait([]reference{r}) {
					return nil, circle([]*table{t}, known, nil)
				}
				t.late = append(t.late, r)
			}
		}
		if len(t.links()) > 0 && len(t.key) == 0 {
			return nil, fmt.Errorf("%w: table %s refers to itself in a circle and has no primary key", ErrCircle, t.name)
		}
		placed[t.ref] = true
		sorted = append(sorted, t)
		left = slices.Delete(left, i, i+1)
	}
	return sorted, nil
}

// open returns t's references to other tables that are not placed.
func open(t *table, known, placed map[string]bool) []reference {
	var open []reference
	for _, r := range t.references {
		if r.to != t.ref && known[r.to] && !placed[r.to] {
			open = append(open, r)
		}
	}
	return open
}

func canWait(rs []reference) bool {
	return !slices.ContainsFunc(rs, func(r reference) bool { return !r.deferrable && !r.null })
}

func circle(left []*table, known, placed map[string]bool) error {
	var names []string
	for _, t := range left {
		for _, r := range t.references {
			if known[r.to] && !placed[r.to] && !canWait([]reference{r}) {
				names = append(names, fmt.Sprintf("%s (%s)", t.name, strings.Join(r.columns, ", ")))
			}
		}
	}
	return fmt.Errorf("%w: %s; let one of these foreign keys be DEFERRABLE, or its columns be null", ErrCircle, strings.Join(names, ", "))
}

// fingerprint tells one schema from another. Tenants' own names are no part of it.
func (h *home) fingerprint() string {
	hash := sha256.New()
	for _, t := range h.tables {
		fmt.Fprintf(hash, "%q %q %q %v\n", t.name, t.ref, t.key, t.owner)
		for _, c := range t.columns {
			fmt.Fprintf(hash, "%q %s %s %v\n", c.name, c.kind, c.typ, c.null)
		}
		for _, r := range t.references {
			fmt.Fprintf(hash, "%q %s\n", r.columns, r.to)
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// find returns the table that an archive calls name: the one of that name or, where
// there are no such schemas, the only one with the same name in any.
func (h *home) find(name string) *table {
	bare := name[strings.LastIndexByte(name, '.')+1:]
	var found *table
	for _, t := range h.tables {
		if t.name == name {
			return t
		}
		if t.bare == bare {
			if found != nil {
				return nil
			}
			found = t
		}
	}
	return found
}

// conflict returns the columns of t's key, for ON CONFLICT.
func (t *table) conflict() string { return quoteAll(t.unique) }
