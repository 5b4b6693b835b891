package servertest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
)

// Required reports whether a missing server fails a test. Otherwise the test is skipped.
func Required() bool {
	return os.Getenv("CI") == "true" || os.Getenv("TENANCY_REQUIRE_SERVERS") == "1"
}

// Account is the user that a server runs as. A nil Account is the test's own.
type Account struct{ UID, GID int }

// AccountOf returns nil, except under root: then the first of names that there is.
func AccountOf(names ...string) (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range names {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(found.Uid)
		gid, errGID := strconv.Atoi(found.Gid)
		if err := errors.Join(errUID, errGID); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &Account{UID: uid, GID: gid}, nil
	}
	return nil, fmt.Errorf("no server runs as root here, and there is no user %s", strings.Join(names, " or "))
}

// Launch starts cmd, and returns a channel that is closed when it has ended. The
// goroutine that waits for it keeps the thread that started it: the kernel sends the
// death signal when that thread ends.
func Launch(cmd *exec.Cmd) (<-chan struct{}, error) {
	done := make(chan struct{})
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended stands in its log
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return done, nil
}
