//go:build unix

package redistest

import "syscall"

const (
	hang   = syscall.SIGSTOP
	resume = syscall.SIGCONT
)
