// Package postgres opens connections to PostgreSQL that can be confined to a
// tenant: lib/pq, with the settings and the checks that isolation needs.
//
//	connector, err := postgres.NewConnector("postgres://app:secret@db.internal/saas")
//	strategy, err := row.New(connector)
//
// # What is checked
//
// Each new connection is refused with isolation.ErrUnsafe if a pooler stands
// between it and the server. A pooler hands one server session to many clients,
// so what one sets for its tenant, another would run under. PgBouncer's session
// mode cannot be told from its transaction mode, so it is refused as well. The
// pool of package isolation takes its place.
//
// # What is set
//
// binary_parameters is always on. Without it lib/pq sends a query with arguments
// in two flights, and between them someone else's statement may be on the session.
//
// # When a connection is used again
//
// [Conn.IsValid] is false unless the connection is idle: no transaction, no rows
// still to be read, no statement that was cancelled. lib/pq cancels through a
// second connection, and the server may apply the cancellation to the next
// statement; so a connection whose statement was cancelled is closed.
package postgres
