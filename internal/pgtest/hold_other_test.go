//go:build !linux

package pgtest

// Hold is for the tests of what only Linux gives.
func Hold() bool { return false }
