// Package sqlkit brings a package's own tables into a host's database.
//
//	//go:embed migrations/postgres/*.sql
//	var files embed.FS
//
//	sub, err := fs.Sub(files, "migrations/postgres")
//	err = sqlkit.Migrate(ctx, db, sqlkit.Postgres, sub, "tenancy_tenant_version")
//
// Many processes may do so at once: one applies what is missing while the
// others wait, and then find nothing left to do.
package sqlkit
