package sqlitefile

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"modernc.org/sqlite"
)

// Option changes a setting of [New].
type Option func(*config)

type config struct {
	migrations  fs.FS
	synchronous SyncLevel
	busyTimeout time.Duration
	driver      *sqlite.Driver
}

func defaults() config {
	return config{
		synchronous: SyncNormal,
		busyTimeout: 5 * time.Second,
		driver:      &sqlite.Driver{},
	}
}

// Migrations makes the tables of every tenant's file: goose migrations named
// 00001_name.sql at the root of fsys. Their versions are kept in the table
// tenancy_version. Without migrations, homes are empty.
func Migrations(fsys fs.FS) Option { return func(c *config) { c.migrations = fsys } }

// SyncLevel says what a commit waits for.
type SyncLevel string

// The levels. Whichever is chosen, a file stays sound.
const (
	// SyncNormal keeps commits through the end of the process; the last ones may
	// be lost when the machine loses power.
	SyncNormal SyncLevel = "NORMAL"
	// SyncFull writes every commit to disk before it returns.
	SyncFull SyncLevel = "FULL"
)

// Synchronous sets what a commit waits for. The default is [SyncNormal].
func Synchronous(level SyncLevel) Option { return func(c *config) { c.synchronous = level } }

// BusyTimeout bounds the wait for another connection's write to the same file;
// the context may end it sooner. 0 does not wait. The default is 5 seconds.
func BusyTimeout(d time.Duration) Option { return func(c *config) { c.busyTimeout = d } }

// Driver opens the files with d, which brings functions, collations and hooks of
// the host's own: fill it before [New]. What they let a statement reach is the
// host's affair. The default is a driver without any: what is registered for
// the whole process, with sqlite.RegisterFunction and the like, does not apply.
func Driver(d *sqlite.Driver) Option { return func(c *config) { c.driver = d } }

func (c config) validate() error {
	if c.synchronous != SyncNormal && c.synchronous != SyncFull {
		return fmt.Errorf("sqlitefile: Synchronous: want SyncNormal or SyncFull, got %q", c.synchronous)
	}
	if c.busyTimeout < 0 {
		return fmt.Errorf("sqlitefile: BusyTimeout: want at least 0, got %s", c.busyTimeout)
	}
	if c.driver == nil {
		return errors.New("sqlitefile: Driver: want a driver, not nil")
	}
	return nil
}
