package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tenancy-go/tenancy/tenant"
)

// Files in the work directory.
const (
	unfinishedFile = workDir + "/new.db"
	doomedFile     = workDir + "/gone.db"
)

// Prepare makes the template that new homes are copied from, unless there is one
// that fits the migrations as they are. Provision does so too when it must.
func (s *Strategy) Prepare(ctx context.Context) error {
	if _, err := s.template.current(ctx, s); err != nil {
		return fmt.Errorf("sqlitefile: make the template: %w", err)
	}
	return nil
}

// Provision makes t's file, by copying a template that the migrations made. A
// file that exists is migrated instead, never replaced. When it returns, the
// file is on disk; killed at any point, it leaves a whole file or none.
func (s *Strategy) Provision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	var exists bool
	err := s.locked(ctx, func() (err error) {
		exists, err = s.create(ctx, homeName(t.ID))
		return err
	})
	if err != nil {
		return fmt.Errorf("sqlitefile: provision tenant %s: %w", t.ID, err)
	}
	if exists {
		return s.Migrate(ctx, t)
	}
	return nil
}

// create puts a copy of the template at name, and reports whether there was a
// file already.
func (s *Strategy) create(ctx context.Context, name string) (exists bool, err error) {
	if _, err := s.dir.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	content, err := s.template.current(ctx, s)
	if err != nil {
		return false, err
	}
	if err := s.writeNew(content); err != nil {
		return false, errors.Join(err, s.dir.discard(unfinishedFile))
	}
	// A write-ahead log without its file would be replayed into the new one.
	if err := s.dir.discardSides(name); err != nil {
		return false, errors.Join(err, s.dir.discard(unfinishedFile))
	}
	// A link, unlike a rename, replaces nothing.
	if err := s.dir.Link(unfinishedFile, name); err != nil {
		return false, errors.Join(err, s.dir.discard(unfinishedFile))
	}
	return false, errors.Join(s.dir.discard(unfinishedFile), s.dir.sync())
}

// writeNew writes content to the unfinished file and to disk.
func (s *Strategy) writeNew(content []byte) error {
	f, err := s.dir.OpenFile(unfinishedFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	return errors.Join(f.Sync(), f.Close())
}

// Migrate applies the migrations that t's file lacks, all of them or none.
// Statements that write wait meanwhile; see [BusyTimeout].
func (s *Strategy) Migrate(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	err := s.dir.checkHome(t.ID)
	if err == nil {
		err = s.migrate(ctx, s.dir.path(homeName(t.ID)))
	}
	if err != nil {
		return fmt.Errorf("sqlitefile: migrate tenant %s: %w", t.ID, err)
	}
	return nil
}

// Deprovision removes t's file, at once: killed half-way, it leaves no home, and
// the next call cleans up. Connections that still have the file open, in this
// process or another, write to a file that nobody will find; call Forget of the
// pool first.
func (s *Strategy) Deprovision(ctx context.Context, t tenant.Tenant) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	err := s.locked(ctx, func() error { return s.remove(homeName(t.ID)) })
	if err != nil {
		return fmt.Errorf("sqlitefile: deprovision tenant %s: %w", t.ID, err)
	}
	return nil
}

// remove takes the file away before what is beside it: without its write-ahead
// log, a file may be missing half a transaction.
func (s *Strategy) remove(name string) error {
	if err := s.dir.Rename(name, doomedFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(s.dir.discardSides(name), s.sweep(), s.dir.sync())
}
