// Package pgtest gives tests real PostgreSQL servers of their own.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
//	func TestOrders(t *testing.T) {
//		db := pgtest.Open(t) // a fresh, empty database
//		conn, err := sql.Open("postgres", db.URL())
//		...
//	}
//
// # Servers
//
// A test binary has at most one shared server. The first [Open] starts it on a
// free loopback port, with its data in a temporary directory, and [Run] stops
// it and removes the data. [Private] starts one more for a test that stops or
// kills its server. Nothing that runs already is used or touched.
//
// On Linux a server also ends when its test binary dies, even by SIGKILL. The
// data that stays behind then is removed by a later test binary.
//
// # Installation
//
// PostgreSQL 14 or later is looked for in PATH, then below /usr/lib/postgresql,
// the newest first. Where none is installed, tests skip, unless CI=true or
// TENANCY_REQUIRE_SERVERS=1 is set: then they fail. PostgreSQL refuses to run as
// root, so under root the server runs as the user postgres or, where there is
// none, nobody.
//
// # Limits
//
// The servers are tuned for tests: they do not sync to disk, and a crash of the
// machine loses their data. A crash of the server alone, as by [Server.Kill],
// loses nothing. They accept 200 connections, authenticate every role with
// SCRAM, speak no TLS, and listen on 127.0.0.1 alone, not on a Unix socket.
package pgtest
