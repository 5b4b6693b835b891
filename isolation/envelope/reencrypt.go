package envelope

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// Reseal returns s as the newest version of the context's tenant's key seals it, and
// whether that is another ciphertext: what to write back after a read, if rotation is
// to be lazy. What the newest version has sealed is returned unopened.
func (k *Keys) Reseal(ctx context.Context, c Column, s Sealed) (Sealed, bool, error) {
	current, err := k.Current(ctx, Fields)
	if err != nil {
		return nil, false, err
	}
	if s.isCurrent(current) {
		return s, false, nil
	}
	plaintext, err := k.Open(ctx, c, s)
	if err != nil {
		return nil, false, err
	}
	defer clear(plaintext)
	sealed, err := k.Seal(ctx, c, plaintext)
	return sealed, err == nil, err
}

// DB is what [Keys.Reencrypt] needs of a database: *sql.DB, *sql.Conn and *sql.Tx
// have it, those of sqlx too.
type DB interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Cells are the ciphertexts of a column, in PostgreSQL or SQLite.
type Cells struct {
	Column Column // Row is not used
	Key    string // the column that tells a tenant's rows apart, and is indexed: id
	Bound  bool   // each ciphertext was sealed for its row (Column.At), whose key is Key's value as text
	Batch  int    // rows read at a time; 0 means 500
}

// ReencryptReport tells what [Keys.Reencrypt] did so far.
type ReencryptReport struct {
	Sealed  int   // ciphertexts sealed anew
	Changed int   // rows that others changed meanwhile, and so sealed anew themselves
	Failed  []any // keys of rows that do not open (ErrOpen); they stay as they are
}

// Reencrypt seals anew, with the newest version of the context's tenant's key, what
// older versions have sealed in a column. It may be stopped and killed at any time;
// called again it does what is left, since the database finds it by its first bytes.
// A row that is written at the same time keeps what was written.
//
// db is one that shows the context's tenant's rows alone, such as a *sql.DB over
// isolation.Pool. progress, unless nil, is called after each batch.
func (k *Keys) Reencrypt(ctx context.Context, db DB, cells Cells, progress func(ReencryptReport)) (ReencryptReport, error) {
	var report ReencryptReport
	if err := cells.Column.validate(); err != nil || cells.Key == "" || cells.Batch < 0 {
		return report, errors.New("envelope: re-encrypt: want a table, a column and its key's column")
	}
	if cells.Batch == 0 {
		cells.Batch = 500
	}
	current, err := k.newest(ctx, Fields)
	if err != nil || current == 0 {
		return report, err // without a key there is no ciphertext
	}
	var after any
	for {
		batch, err := cells.read(ctx, db, header(current), after)
		if err != nil || len(batch) == 0 {
			return report, err
		}
		for _, c := range batch {
			if err := k.reencrypt(ctx, db, cells, c, &report); err != nil {
				return report, err
			}
		}
		after = batch[len(batch)-1].key
		if progress != nil {
			progress(report)
		}
	}
}

// cell is a row's key and ciphertext.
type cell struct {
	key    any
	sealed Sealed
}

func (k *Keys) reencrypt(ctx context.Context, db DB, cells Cells, c cell, report *ReencryptReport) error {
	column := cells.Column
	column.Row = ""
	if cells.Bound {
		column = column.At(fmt.Sprint(c.key))
	}
	sealed, changed, err := k.Reseal(ctx, column, c.sealed)
	if errors.Is(err, ErrOpen) {
		report.Failed = append(report.Failed, c.key)
		return nil
	}
	if err != nil {
		return fmt.Errorf("row %v: %w", c.key, err)
	}
	if !changed {
		return nil
	}
	result, err := db.ExecContext(ctx, cells.update(), sealed, c.key, c.sealed)
	if err != nil {
		return fmt.Errorf("envelope: re-encrypt: %w", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("envelope: re-encrypt: %w", err)
	}
	if n == 0 {
		report.Changed++
		return nil
	}
	report.Sealed++
	return nil
}

// read returns the next cells whose ciphertext does not begin with head.
func (c Cells) read(ctx context.Context, db DB, head []byte, after any) ([]cell, error) {
	key, column := quote(c.Key), quote(c.Column.Name)
	where, args := "", []any{head}
	if after != nil {
		where, args = " AND "+key+" > $2", append(args, after)
	}
	rows, err := db.QueryContext(ctx, fmt.Sprintf("SELECT %s, %s FROM %s WHERE %[2]s IS NOT NULL AND substr(%[2]s, 1, %[4]d) <> $1%[5]s ORDER BY %[1]s LIMIT %[6]d",
		key, column, quoteTable(c.Column.Table), len(head), where, c.Batch), args...)
	if err != nil {
		return nil, fmt.Errorf("envelope: re-encrypt: %w", err)
	}
	defer rows.Close()
	var found []cell
	for rows.Next() {
		var c cell
		if err := rows.Scan(&c.key, &c.sealed); err != nil {
			return nil, fmt.Errorf("envelope: re-encrypt: %w", err)
		}
		if text, ok := c.key.([]byte); ok {
			c.key = string(text) // a uuid, as lib/pq has it
		}
		found = append(found, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("envelope: re-encrypt: %w", err)
	}
	return found, nil
}

func (c Cells) update() string {
	return fmt.Sprintf("UPDATE %s SET %s = $1 WHERE %s = $2 AND %[2]s = $3", quoteTable(c.Column.Table), quote(c.Column.Name), quote(c.Key))
}

// quote makes an identifier of SQL, whatever is in it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteTable quotes a table, and its schema if there is one before it.
func quoteTable(name string) string {
	schema, table, found := strings.Cut(name, ".")
	if !found {
		return quote(name)
	}
	return quote(schema) + "." + quote(table)
}
