//go:build !unix

package sqlitefile

import "io/fs"

// links returns 1: the system does not tell how many names a file has.
func links(fs.FileInfo) uint64 { return 1 }
