package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

// maxFindings keeps an error readable.
const maxFindings = 10

// Verify checks that the directory is what isolation rests on: nobody else may
// write to it, and each tenant's files are regular files, readable by their owner
// alone and under no second name. Otherwise the error wraps
// isolation.ErrUnsafe and says what to mend. Files that belong to no tenant are
// left alone; see [Strategy.Stray]. Call it at start-up.
func (s *Strategy) Verify(ctx context.Context) error {
	err := s.locked(ctx, func() error {
		if err := errors.Join(s.dir.checkMode(), s.dir.checkWorkDir()); err != nil {
			return err
		}
		return s.checkEntries(ctx)
	})
	if err != nil {
		return fmt.Errorf("sqlitefile: verify: %w", err)
	}
	return nil
}

func (s *Strategy) checkEntries(ctx context.Context) error {
	entries, err := s.dir.entries(ctx)
	if err != nil {
		return err
	}
	var findings []error
	for _, entry := range entries {
		if _, _, ok := parseName(entry.Name()); !ok {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // SQLite closed the file meanwhile
		}
		if err != nil {
			return err
		}
		if fault := faultOf(info); fault != "" {
			findings = append(findings, fmt.Errorf("%w: %s %s", isolation.ErrUnsafe, s.dir.path(info.Name()), fault))
		}
		if len(findings) == maxFindings {
			break
		}
	}
	return errors.Join(findings...)
}

// faultOf says what is wrong with a tenant's file.
func faultOf(info fs.FileInfo) string {
	switch {
	case !info.Mode().IsRegular():
		return "is no regular file; remove it"
	case hasModes() && info.Mode().Perm()&0o077 != 0:
		return "is open to others; give it mode 0600"
	case links(info) > 1:
		return "has a second name, perhaps as another tenant's file; give each tenant its own copy"
	default:
		return ""
	}
}

// Stray returns the names in the directory that belong to no tenant: files of
// somebody else's, and what is left beside a home that was removed only half.
// Sorted.
func (s *Strategy) Stray(ctx context.Context) ([]string, error) {
	entries, err := s.dir.entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("sqlitefile: stray: %w", err)
	}
	homes := make(map[tenant.ID]bool, len(entries))
	for _, entry := range entries {
		if id, side, ok := parseName(entry.Name()); ok && !side {
			homes[id] = true
		}
	}
	var stray []string
	for _, entry := range entries {
		id, _, ok := parseName(entry.Name())
		if (!ok || !homes[id]) && entry.Name() != workDir {
			stray = append(stray, entry.Name())
		}
	}
	slices.Sort(stray)
	return stray, nil
}

// entries lists the directory.
func (d *directory) entries(ctx context.Context) ([]fs.DirEntry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	return entries, errors.Join(err, f.Close())
}
