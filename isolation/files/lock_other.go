//go:build !unix

package files

import "os"

// lockFile does nothing: elsewhere, one process at a time may use a directory.
func lockFile(*os.File) error { return nil }

// isAbandoned leaves it to the file's age.
func isAbandoned(*os.File) bool { return true }
