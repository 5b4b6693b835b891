//go:build !unix

package redistest

import "syscall"

// What no process can be sent here, so that Pause and Resume fail the test.
const (
	hang   = syscall.Signal(-1)
	resume = syscall.Signal(-1)
)
