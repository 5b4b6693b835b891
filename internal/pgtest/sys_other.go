//go:build !linux

package pgtest

import (
	"os"
	"syscall"
)

// attributes has nothing to say off Linux, where serverAccount's user cannot be
// taken on and a test as root fails with PostgreSQL's own message.
func attributes(*account, bool) *syscall.SysProcAttr { return nil }

// killTree ends the postmaster. Its backends end when they notice.
func killTree(postmaster *os.Process) ([]int, error) { return nil, postmaster.Kill() }

func alive(int) bool { return false }

func dropSharedMemory(int) {}

// lock returns nil: leftovers are not swept off Linux.
func lock(string) *os.File { return nil }
