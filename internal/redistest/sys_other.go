//go:build !linux

package redistest

import "syscall"

// attributes has nothing to say off Linux: there a server runs as the test's own user.
func attributes(*account) *syscall.SysProcAttr { return nil }
