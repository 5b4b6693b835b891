// Package orms shows that GORM, ent, bun, sqlx and plain database/sql work on a
// *sql.DB over isolation.Pool as they are, without a plug-in, and that each
// operation at which multi-tenancy plug-ins for ORMs leak is contained.
//
// There is nothing to import: read the tests. It is a module of its own, so that
// no ORM becomes a dependency of Tenancy.
package orms
