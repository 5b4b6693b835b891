package sqlquota

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"

	"github.com/jmoiron/sqlx"
)

// wrongIsolation is the SQLSTATE of functions that are called in a transaction that may
// not see what those before it wrote.
const wrongIsolation = "25001"

// call calls a function with an argument in JSON, in one round trip unless the database
// has another isolation than READ COMMITTED by default.
func (s *Store) call(ctx context.Context, function string, argument any) ([]byte, error) {
	data, err := json.Marshal(argument)
	if err != nil {
		return nil, err
	}
	query, args := "SELECT "+function+"($1::jsonb)", []any{string(data)}
	if s.literal { // in hexadecimal digits, there is nothing to quote
		query, args = "SELECT "+function+"(pg_catalog.convert_from(pg_catalog.decode('"+hex.EncodeToString(data)+"', 'hex'), 'UTF8')::jsonb)", nil
	}
	if !s.explicit.Load() {
		answer, err := fetch(ctx, s.db, query, args)
		if err == nil || sqlState(err) != wrongIsolation {
			return answer, err
		}
		s.explicit.Store(true)
	}
	return s.callWithin(ctx, query, args)
}

// callWithin calls a function in a transaction that asks for its isolation.
func (s *Store) callWithin(ctx context.Context, query string, args []any) ([]byte, error) {
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return nil, err
	}
	answer, err := fetch(ctx, tx, query, args)
	if err != nil {
		_ = tx.Rollback() // the error that counts is err
		return nil, err
	}
	return answer, tx.Commit()
}

func fetch(ctx context.Context, db sqlx.QueryerContext, query string, args []any) ([]byte, error) {
	var answer []byte
	err := db.QueryRowxContext(ctx, query, args...).Scan(&answer)
	return answer, err
}
