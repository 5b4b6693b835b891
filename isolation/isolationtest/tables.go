package isolationtest

import (
	"embed"
	"io/fs"
)

//go:embed tables
var tables embed.FS

// SharedTables returns the suite's tables for PostgreSQL, as migrations of goose,
// for strategies whose tenants share tables: notes and tags, with a tenant_id of
// type text, and the view labels over both.
func SharedTables() fs.FS { return migrations("shared") }

// SharedUUIDTables is [SharedTables] with a tenant_id of type uuid.
func SharedUUIDTables() fs.FS { return migrations("shareduuid") }

// OwnTables returns the suite's tables, as migrations of goose, for strategies
// that give each tenant tables of its own: notes and tags, and the view labels
// over both.
func OwnTables(d Dialect) fs.FS {
	if d == SQLite {
		return migrations("sqlite")
	}
	return migrations("own")
}

func migrations(name string) fs.FS {
	sub, err := fs.Sub(tables, "tables/"+name)
	if err != nil {
		panic(err) //nolint:forbidigo // cannot happen: the names above are well formed
	}
	return sub
}
