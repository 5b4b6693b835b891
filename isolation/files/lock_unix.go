//go:build unix

package files

import (
	"errors"
	"os"
	"syscall"
)

// lockFile waits until nobody else has f locked. The lock ends with the file, or the
// process.
func lockFile(f *os.File) error {
	for {
		err := flock(f, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// isAbandoned reports whether whoever had f locked is gone.
func isAbandoned(f *os.File) bool { return flock(f, syscall.LOCK_EX|syscall.LOCK_NB) == nil }

func flock(f *os.File, how int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	err = raw.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), how) }) //nolint:gosec // a descriptor fits
	return errors.Join(err, locked)
}
