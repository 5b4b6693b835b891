package sqlquota

import (
	"context"
	"errors"
	"strconv"

	"github.com/jmoiron/sqlx"
)

// pruning says what to delete, as the function in PostgreSQL reads it.
type pruning struct {
	Limit int   `json:"limit"`
	Now   int64 `json:"now,omitempty"`
}

// Prune deletes answers that are remembered no more, and counters that count nothing
// any more, in whose place new ones decide as they would: up to limit of each. It
// returns how many rows it deleted. Stock stays. Any process may call it at any time.
//
// On PostgreSQL it reads both tables until it has found so many.
func (s *Store) Prune(ctx context.Context, limit int) (int64, error) {
	if limit < 1 {
		return 0, errors.New("sqlquota: prune: want a limit of at least 1")
	}
	deleted, err := s.prune(ctx, limit)
	return deleted, failed(ctx, "prune", err)
}

func (s *Store) prune(ctx context.Context, limit int) (deleted int64, err error) {
	if s.dialect == SQLite {
		err = s.write(ctx, func(tx *sqlx.Conn) error {
			deleted, err = pruneSQLite(ctx, tx, limit, s.millisecond())
			return err
		})
		return deleted, err
	}
	data, err := s.call(ctx, "tenancy_quota_prune", pruning{limit, s.injected()})
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(data), 10, 64)
}

func pruneSQLite(ctx context.Context, tx session, limit int, now int64) (int64, error) {
	deleted := int64(0)
	for _, query := range []string{
		`DELETE FROM tenancy_quota_answers WHERE (tenant, id) IN (
			SELECT tenant, id FROM tenancy_quota_answers WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,
		`DELETE FROM tenancy_quota_counters WHERE (tenant, kind, name, key) IN (
			SELECT tenant, kind, name, key FROM tenancy_quota_counters WHERE fresh_at <= ? ORDER BY fresh_at LIMIT ?)`,
	} {
		result, err := tx.ExecContext(ctx, query, now, limit)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		deleted += n
	}
	return deleted, nil
}
