// Package servertest has what helpers that start servers for tests have in common: as
// whom a server runs, how it is started so that it dies with the test, and whether one
// that is missing fails the test.
package servertest
