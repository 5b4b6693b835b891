package sqlquota

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/internal/count"
)

// session is what *sqlx.DB and *sqlx.Conn have in common.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// write runs do in a transaction of SQLite that holds the write lock from its start.
func (d database) write(ctx context.Context, do func(tx *sqlx.Conn) error) error {
	conn, err := d.db.Connx(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() // gives the connection back; what counts is the commit
	if err := sqlkit.BeginImmediate(ctx, conn.Conn); err != nil {
		return err
	}
	if err := do(conn); err != nil {
		sqlkit.Rollback(ctx, conn.Conn)
		return err
	}
	return sqlkit.Commit(ctx, conn.Conn)
}

func (s *Store) takeSQLite(ctx context.Context, r *request) (taken quota.Taken, err error) {
	err = s.write(ctx, func(tx *sqlx.Conn) error {
		now := s.millisecond()
		var known []byte
		err := tx.GetContext(ctx, &known, "SELECT answer FROM tenancy_quota_answers WHERE tenant = ? AND id = ? AND expires_at > ?", r.Tenant, r.ID, now)
		if err == nil {
			taken, err = readAnswer(known)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		counters, err := loadSQLite(ctx, tx, r)
		if err != nil {
			return err
		}
		answer, changed := r.carryOut(counters, now)
		taken = takenOf(answer)
		for _, c := range changed {
			if err := keepSQLite(ctx, tx, r.Tenant, c); err != nil {
				return err
			}
		}
		return rememberSQLite(ctx, tx, r, answer, now)
	})
	return taken, err
}

// loadSQLite returns the counters that r names, as they were last written.
func loadSQLite(ctx context.Context, tx session, r *request) ([]*counter, error) {
	names, err := json.Marshal(r.Counters)
	if err != nil {
		return nil, err
	}
	var rows []string
	err = tx.SelectContext(ctx, &rows, `SELECT json_object('kind', c.kind, 'name', c.name, 'key', c.key, 'used', c.used,
		'arrival', c.arrival, 'kept', c.kept, 'windows', json(c.windows), 'holders', json(c.holders))
		FROM json_each(?) r CROSS JOIN tenancy_quota_counters c
		WHERE c.tenant = ? AND c.kind = json_extract(r.value, '$.kind')
		AND c.name = json_extract(r.value, '$.name') AND c.key = json_extract(r.value, '$.key')`, string(names), r.Tenant)
	if err != nil {
		return nil, err
	}
	counters := make([]*counter, len(r.Counters))
	for i, name := range r.Counters {
		counters[i] = &counter{name, *count.New()}
	}
	for _, row := range rows {
		var c counter
		if err := json.Unmarshal([]byte(row), &c); err != nil {
			return nil, err
		}
		counters[r.slot(c.ref)] = &c
	}
	return counters, nil
}

func keepSQLite(ctx context.Context, tx session, tenant string, c *counter) error {
	windows, err := json.Marshal(c.Windows)
	if err != nil {
		return err
	}
	holders, err := json.Marshal(c.Holders)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO tenancy_quota_counters
		(tenant, kind, name, key, used, arrival, kept, windows, holders, fresh_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (tenant, kind, name, key) DO UPDATE SET used = excluded.used, arrival = excluded.arrival, kept = excluded.kept,
		windows = excluded.windows, holders = excluded.holders, fresh_at = excluded.fresh_at`,
		tenant, c.Kind, c.Name, c.Key, c.Used, c.Arrival, c.Kept, string(windows), string(holders), c.freshAt())
	return err
}

// rememberSQLite keeps the answer, in the place of at most four old ones. One that was
// heard is kept for a minute more, should a copy of the question come yet.
func rememberSQLite(ctx context.Context, tx session, r *request, a count.Answer, now int64) error {
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM tenancy_quota_answers WHERE (tenant, id) IN (
		SELECT tenant, id FROM tenancy_quota_answers WHERE expires_at <= ? ORDER BY expires_at LIMIT 4)`, now)
	if err != nil {
		return err
	}
	if r.Forget != "" {
		_, err = tx.ExecContext(ctx, "UPDATE tenancy_quota_answers SET expires_at = min(expires_at, ?) WHERE tenant = ? AND id = ?",
			now+int64(quota.AnswersFor), r.Tenant, r.Forget)
		if err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO tenancy_quota_answers (tenant, id, expires_at, answer) VALUES (?, ?, ?, ?)",
		r.Tenant, r.ID, now+r.Remember, string(data))
	return err
}

func (s *Store) renewSQLite(ctx context.Context, r renewal) error {
	return s.write(ctx, func(tx *sqlx.Conn) error {
		now := s.millisecond()
		for _, h := range r.Held {
			counters, err := loadSQLite(ctx, tx, &request{Tenant: h.Tenant, Counters: []ref{h.ref}})
			if err != nil {
				return err
			}
			c := counters[0]
			if _, holds := c.Holders[r.Holder]; h.N <= 0 && !holds {
				continue
			}
			c.Renew(count.Holder{Name: r.Holder, Until: now + r.TTL}, h.N, now)
			if err := keepSQLite(ctx, tx, h.Tenant, c); err != nil {
				return err
			}
		}
		return nil
	})
}
