package main

import (
	"embed"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation/envelope"
)

// What follows is the example's; put your own in its place.

//go:embed migrations
var embedded embed.FS

// appMigrations make the tables of tenants, in the folders shared, own and sqlite.
func appMigrations() (fs.FS, error) { return fs.Sub(embedded, "migrations") }

// appTables returns every table that holds tenants' rows. Export, clone and move refuse
// to run if a home has one that is not among them, so none is forgotten.
func appTables() []string { return []string{"customers", "orders"} }

// sealedColumns returns the columns that are encrypted with the tenant's own key.
func sealedColumns() []envelope.Cells {
	return []envelope.Cells{{Column: envelope.Column{Table: "customers", Name: "email"}, Key: "id"}}
}
