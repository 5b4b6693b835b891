package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/tenancy-go/tenancy/internal/pglisten"
	"github.com/tenancy-go/tenancy/tenant"
)

// channel is what the trigger of the migration notifies.
const channel = "tenancy_placements"

// Watch implements tenant.Watcher. It fails at once if it cannot start; a connection
// lost later is made anew, as often as it takes.
func (s *Store) Watch(ctx context.Context, changed func(tenant.Change)) error {
	switch {
	case changed == nil:
		return errors.New("route/sqlstore: watch: want a function to call, not nil")
	case s.dialect == SQLite:
		return s.watchSQLite(ctx, changed)
	case s.dsn == "":
		return errors.New("route/sqlstore: watch: want the server's address; give New WithListener")
	}
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
	if err := s.get(ctx, &last, "SELECT coalesce(max(seq), 0) FROM tenancy_placement_changes"); err != nil {
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
		var news []change
		err := s.db.SelectContext(ctx, &news, "SELECT seq, tenant_id FROM tenancy_placement_changes WHERE seq > ? ORDER BY seq", last)
		if err != nil {
			missed = true // such as a file that is locked: look again
			continue
		}
		last = tell(news, last, missed, changed)
		missed = false
	}
}

// change is a row of tenancy_placement_changes.
type change struct {
	Seq    int64  `db:"seq"`
	Tenant string `db:"tenant_id"`
}

// tell calls changed for news, which come after the change numbered last, and returns
// the number of the last one. It tells of everything if some were trimmed before they
// were seen.
func tell(news []change, last int64, missed bool, changed func(tenant.Change)) int64 {
	if missed || len(news) > 0 && news[0].Seq != last+1 {
		changed(tenant.Change{})
	}
	for _, c := range news {
		changed(tenant.Change{ID: tenant.ID(c.Tenant)})
		last = c.Seq
	}
	return last
}
