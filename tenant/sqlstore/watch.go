package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/internal/pglisten"
	"github.com/tenancy-go/tenancy/tenant"
)

// channel is what the trigger of the migration notifies.
const channel = "tenancy_tenants"

// Watch implements [tenant.Watcher]. It fails at once if it cannot start; a
// connection lost later is made anew, as often as it takes. See the package's
// documentation for what it needs.
func (s *Store) Watch(ctx context.Context, changed func(tenant.Change)) error {
	if changed == nil {
		return errors.New("sqlstore: watch: want a function to call, not nil")
	}
	if s.dialect == SQLite {
		return s.watchSQLite(ctx, changed)
	}
	if s.dsn == "" {
		return errors.New("sqlstore: watch: want the server's address; give New WithListener")
	}
	return s.watchPostgres(ctx, changed)
}

func (s *Store) watchPostgres(ctx context.Context, changed func(tenant.Change)) error {
	err := pglisten.Follow(ctx, s.dsn, channel, func(n pglisten.Notice) {
		id, err := tenant.ParseID(n.Payload)
		if err != nil {
			id = "" // a gap, or sent by hand, or for all at once
		}
		changed(tenant.Change{ID: id})
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failed(ctx, "watch", err)
}

// watchSQLite looks into the list of changes that triggers keep.
func (s *Store) watchSQLite(ctx context.Context, changed func(tenant.Change)) error {
	var last int64
	const newest = "SELECT coalesce(max(seq), 0) FROM tenancy_tenant_changes"
	if err := s.db.GetContext(ctx, &last, newest); err != nil {
		return failed(ctx, "watch", err)
	}
	changed(tenant.Change{})
	tick := time.NewTicker(s.poll)
	defer tick.Stop()
	missed := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		changes, err := s.changesSince(ctx, last)
		if err != nil {
			missed = true // such as a file that is locked: look again
			continue
		}
		last = tell(changes, last, missed, changed)
		missed = false
	}
}

// change is a row of tenancy_tenant_changes.
type change struct {
	Seq      int64  `db:"seq"`
	TenantID string `db:"tenant_id"`
}

func (s *Store) changesSince(ctx context.Context, last int64) ([]change, error) {
	var changes []change
	err := s.db.SelectContext(ctx, &changes, "SELECT seq, tenant_id FROM tenancy_tenant_changes WHERE seq > ? ORDER BY seq", last)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: watch: %w", err)
	}
	return changes, nil
}

// tell calls changed for changes, which come after the change numbered last, and
// returns the number of the last one. It tells of everything if some were
// trimmed before they were seen.
func tell(changes []change, last int64, missed bool, changed func(tenant.Change)) int64 {
	if missed || len(changes) > 0 && changes[0].Seq != last+1 {
		changed(tenant.Change{})
	}
	for _, c := range changes {
		changed(tenant.Change{ID: tenant.ID(c.TenantID)})
		last = c.Seq
	}
	return last
}
