package archive

import (
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Format is the version of archives that this package writes.
const Format = 1

// Manifest says what is in an archive.
type Manifest struct {
	Format        int        `json:"format"`
	Tenant        tenant.ID  `json:"tenant"`
	Created       time.Time  `json:"created"`
	Dialect       string     `json:"dialect"` // where it comes from: postgres or sqlite
	SchemaVersion string     `json:"schema_version,omitempty"`
	Tables        []Table    `json:"tables"` // in the order in which rows can be inserted
	Sequences     []Sequence `json:"sequences,omitempty"`
}

// Table says what an archive has of a table.
type Table struct {
	Name    string   `json:"name"`
	Columns []Column `json:"columns"`
	Key     []string `json:"key,omitempty"`
	Rows    int64    `json:"rows"`
	// Hash is of all rows, in whatever order, and equal for equal rows whichever
	// strategy and database they are in, as long as kinds and names of columns are.
	Hash string `json:"hash"`
	// Links are the columns that refer to rows of tables that come later.
	Links []string `json:"links,omitempty"`
}

// Column is a column of an archive.
type Column struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	Null bool   `json:"null,omitempty"`
}

// Sequence says how far one had counted.
type Sequence struct {
	Name string `json:"name"` // table.column, or its own
	Last int64  `json:"last"`
	Used bool   `json:"used"` // false if it never gave out a number
}

// Rows returns how many rows there are in all tables.
func (m Manifest) Rows() int64 {
	var n int64
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

// manifest returns what h has, without rows and hashes.
func (h *home) manifest(id tenant.ID, dialect string, now time.Time) Manifest {
	m := Manifest{Format: Format, Tenant: id, Created: now.UTC().Truncate(time.Second), Dialect: dialect, SchemaVersion: h.version}
	for _, t := range h.tables {
		entry := Table{Name: t.name, Key: t.key, Links: t.links()}
		for _, c := range t.columns {
			entry.Columns = append(entry.Columns, Column{c.name, c.kind, c.null})
		}
		m.Tables = append(m.Tables, entry)
	}
	return m
}

// columns are t's, as the reader of rows needs them.
func (t *Table) columns() []column {
	cols := make([]column, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = column{name: c.Name, kind: c.Kind, null: c.Null}
	}
	return cols
}

// index returns the positions of columns by name, or an error if one is missing.
func (t *Table) index(names []string) ([]int, error) {
	indexes := make([]int, len(names))
	for i, name := range names {
		indexes[i] = -1
		for j, c := range t.Columns {
			if c.Name == name {
				indexes[i] = j
			}
		}
		if indexes[i] < 0 {
			return nil, fmt.Errorf("%w: table %s has no column %s", ErrSchema, t.Name, name)
		}
	}
	return indexes, nil
}
