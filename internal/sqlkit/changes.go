package sqlkit

import (
	"context"
	"database/sql"
	"time"
)

// change is a row of a table of changes.
type change struct {
	seq    int64
	tenant string
}

// FollowChanges looks every so often into a table of changes that triggers keep in
// SQLite, with the columns seq, without gaps, and tenant_id, and calls changed with the
// tenant of each new row, until ctx ends, whose error it returns. It calls changed with an
// empty string at the beginning and whenever changes may have been missed: any tenant may
// have changed. Any other error comes before the first call.
func FollowChanges(ctx context.Context, db *sql.DB, table string, every time.Duration, changed func(tenantID string)) error {
	var last int64
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM "+table).Scan(&last); err != nil {
		return err
	}
	changed("")
	tick := time.NewTicker(every)
	defer tick.Stop()
	missed := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		changes, err := changesSince(ctx, db, table, last)
		if err != nil {
			missed = true // such as a file that is locked: look again
			continue
		}
		last = tell(changes, last, missed, changed)
		missed = false
	}
}

func changesSince(ctx context.Context, db *sql.DB, table string, last int64) ([]change, error) {
	rows, err := db.QueryContext(ctx, "SELECT seq, tenant_id FROM "+table+" WHERE seq > ? ORDER BY seq", last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var changes []change
	for rows.Next() {
		var c change
		if err := rows.Scan(&c.seq, &c.tenant); err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, rows.Err()
}

// tell calls changed for changes, which come after the change numbered last, and
// returns the number of the last one. It tells of everything if some were
// trimmed before they were seen.
func tell(changes []change, last int64, missed bool, changed func(tenantID string)) int64 {
	if missed || len(changes) > 0 && changes[0].seq != last+1 {
		changed("")
	}
	for _, c := range changes {
		changed(c.tenant)
		last = c.seq
	}
	return last
}
