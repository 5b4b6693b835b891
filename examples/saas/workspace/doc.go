// Package workspace is what the product does: conversations with models,
// documents and usage.
//
// It is ordinary database/sql on an ordinary *sql.DB. No statement here names a
// tenant: the context says whose data it is, the isolation pool behind the *sql.DB
// holds the connection to it, and the database enforces it. The same statements
// run on shared tables, on a schema and on a database or file per tenant.
//
// What a tenant's plan allows is claimed in limits.go, around the statements that use
// it.
package workspace
