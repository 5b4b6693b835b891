package archive

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

// SQLJournal is a Journal in a table of PostgreSQL or SQLite.
type SQLJournal struct {
	db *sql.DB
}

var _ Journal = (*SQLJournal)(nil)

// NewSQLJournal returns a journal in the table tenancy_moves, which it makes unless
// it is there. db is the platform's own database, not one over a pool.
func NewSQLJournal(ctx context.Context, db *sql.DB) (*SQLJournal, error) {
	if db == nil {
		return nil, errors.New("archive: nil database")
	}
	_, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS tenancy_moves (
		tenant text NOT NULL PRIMARY KEY, finished int NOT NULL, version bigint NOT NULL, record text NOT NULL)`)
	if err != nil && sqlState(err) != "23505" && sqlState(err) != "42P07" { // another process made it at the same moment
		return nil, fmt.Errorf("archive: journal: %w", err)
	}
	return &SQLJournal{db: db}, nil
}

// Find returns a tenant's record.
func (j *SQLJournal) Find(ctx context.Context, id tenant.ID) (Record, error) {
	var text string
	err := j.db.QueryRowContext(ctx, `SELECT record FROM tenancy_moves WHERE tenant = $1`, string(id)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, fmt.Errorf("%w of tenant %s", ErrNotFound, id)
	}
	if err != nil {
		return Record{}, fmt.Errorf("archive: journal: %w", err)
	}
	return decodeRecord(text)
}

func decodeRecord(text string) (r Record, err error) {
	if err = json.Unmarshal([]byte(text), &r); err != nil {
		err = fmt.Errorf("archive: journal: %w", err)
	}
	return r, err
}

// Create keeps a new record.
func (j *SQLJournal) Create(ctx context.Context, r Record) (Record, error) {
	r.Version = 1
	done, err := j.write(ctx, `INSERT INTO tenancy_moves (tenant, finished, version, record) VALUES ($1, $2, $3, $4)
		ON CONFLICT (tenant) DO UPDATE SET finished = excluded.finished, version = excluded.version, record = excluded.record
		WHERE tenancy_moves.finished = 1`, r)
	if err != nil || done {
		return r, err
	}
	old, err := j.Find(ctx, r.Tenant)
	if err != nil {
		return Record{}, err
	}
	return Record{}, underWay(old)
}

// Update replaces a record.
func (j *SQLJournal) Update(ctx context.Context, r Record) (Record, error) {
	r.Version++
	done, err := j.write(ctx, `UPDATE tenancy_moves SET finished = $2, version = $3, record = $4 WHERE tenant = $1 AND version = $3 - 1`, r)
	if err == nil && !done {
		err = fmt.Errorf("%w: the move of tenant %s has gone on in another process", ErrConflict, r.Tenant)
	}
	if err != nil {
		return Record{}, err
	}
	return r, nil
}

// write runs a statement with r's columns, and reports whether it changed a row.
func (j *SQLJournal) write(ctx context.Context, query string, r Record) (bool, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("archive: journal: %w", err)
	}
	finished := btoi(r.Finished())
	result, err := j.db.ExecContext(ctx, query, string(r.Tenant), finished, r.Version, string(text))
	if err != nil {
		return false, fmt.Errorf("archive: journal: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Open returns the records that are not finished.
func (j *SQLJournal) Open(ctx context.Context) ([]Record, error) {
	var open []Record
	err := each(ctx, j.db, `SELECT record FROM tenancy_moves WHERE finished = 0 ORDER BY tenant`, nil, func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		r, err := decodeRecord(text)
		open = append(open, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("archive: journal: %w", err)
	}
	return open, nil
}
