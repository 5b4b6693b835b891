package sqlitefile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Sizer = (*Strategy)(nil)

// Size returns how long t's file is, with its write-ahead log and journal. It opens
// nothing.
func (s *Strategy) Size(_ context.Context, t tenant.Tenant) (int64, error) {
	if err := t.ID.Validate(); err != nil {
		return 0, err
	}
	if err := s.dir.checkHome(t.ID); err != nil {
		return 0, fmt.Errorf("sqlitefile: size of tenant %s: %w", t.ID, err)
	}
	var size int64
	for _, suffix := range []string{"", "-wal", "-journal"} { // -shm is memory
		info, err := s.dir.Lstat(homeName(t.ID) + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("sqlitefile: size of tenant %s: %w", t.ID, err)
		}
		size += info.Size()
	}
	return size, nil
}
