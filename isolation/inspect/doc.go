// Package inspect looks for holes in the isolation of tenants in a live
// PostgreSQL database, 14 or later, and changes nothing.
//
//	report, err := inspect.Run(ctx, db, inspect.Rows("app"))
//	err = report.WriteTable(os.Stdout)
//	return report.Err(inspect.High) // fails a build
//
// db is a *sql.DB, a *sqlx.DB or a *sql.Conn of whoever can read the catalogs:
// any role for [Rows] and [Databases], the administrative one for [Schemas], which
// reads the registry of homes. The database need not use this module: Rows looks
// at all tables with a tenant column, whoever wrote their policies.
//
// # Findings
//
// A finding names a lint, an object, what is wrong with it, what an attacker or a
// slip would make of it, and SQL that mends it. [Lints] lists what is looked
// for. What a strategy of this module has set up has no findings.
//
// The remedy is SQL as a whole: what needs a decision stands in it as a comment.
// Read it before running it.
//
// # Severity
//
// See [Severity] for what each means. A host that accepts a finding writes that down
// with [Suppress], and the reason stands in every report.
//
// # Injection
//
// [Injection] adds what only SQL of an attacker's own could use: a tenant that is a
// setting, set_config, DO, large objects. PostgreSQL leaves all that open to
// everyone, so these findings are for hosts that mean to close it.
//
// # Limits
//
// The catalogs tell what is granted, not what functions do: a function that looks
// harmless and returns the wrong tenant is not found. Policies are read as text:
// one that binds the tenant in a way other than an equation with its column is
// reported, though it may hold. Servers around the database (poolers, replicas,
// backups) are not seen.
package inspect
