package workspace

import (
	"embed"
	"io/fs"
)

//go:embed migrations
var migrations embed.FS

// OwnTables returns the migrations of tables that belong to one tenant, for
// isolation by schema, database and file.
func OwnTables() fs.FS { return sub("migrations/own") }

// SharedTables returns the migrations of tables that all tenants share, for
// isolation by row.
func SharedTables() fs.FS { return sub("migrations/shared") }

// Tables returns the names of the tables, each of which holds tenants' rows.
func Tables() []string {
	return []string{"conversations", "messages", "documents", "usage_events"}
}

func sub(dir string) fs.FS {
	dirFS, _ := fs.Sub(migrations, dir) // fails for an invalid path only, and both are constants
	return dirFS
}
