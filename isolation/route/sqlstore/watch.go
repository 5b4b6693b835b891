package sqlstore

import (
	"context"
	"errors"

	"github.com/tenancy-go/tenancy/internal/pglisten"
	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/tenant"
)

// channel is what the trigger of the migration notifies.
const channel = "tenancy_placements"

// Watch implements tenant.Watcher. It fails at once if it cannot start; a connection
// lost later is made anew, as often as it takes.
func (s *Store) Watch(ctx context.Context, changed func(tenant.Change)) (err error) {
	switch {
	case changed == nil:
		return errors.New("route/sqlstore: watch: want a function to call, not nil")
	case s.dialect == SQLite:
		err = sqlkit.FollowChanges(ctx, s.db.DB, "tenancy_placement_changes", s.poll, func(id string) { changed(tenant.Change{ID: tenant.ID(id)}) })
	case s.dsn == "":
		return errors.New("route/sqlstore: watch: want the server's address; give New WithListener")
	default:
		err = pglisten.Follow(ctx, s.dsn, channel, func(n pglisten.Notice) {
			id, err := tenant.ParseID(n.Payload)
			if err != nil {
				id = "" // a gap, or sent by hand, or for all at once
			}
			changed(tenant.Change{ID: id})
		})
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return failed(ctx, "watch", err)
}
