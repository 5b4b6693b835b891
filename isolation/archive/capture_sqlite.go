package archive

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// sqliteCapture records by triggers in the tenant's file. A file has one writer at a
// time, so the transaction that shuts the gate is after every one that found it open.
type sqliteCapture struct {
	tables []*table
}

const (
	sqliteLog  = ours + "log"
	sqliteGate = ours + "gate"
)

func (c *sqliteCapture) trigger(t *table, event string) string {
	return quote(ours + event + "_" + t.name)
}

func (c *sqliteCapture) install(ctx context.Context, conn *sql.Conn) error {
	columns := make([]string, maxKey)
	for i := range columns {
		columns[i] = fmt.Sprintf("k%d", i)
	}
	statements := []string{
		"CREATE TABLE IF NOT EXISTS " + sqliteLog + " (seq INTEGER PRIMARY KEY AUTOINCREMENT, tab TEXT NOT NULL, " + strings.Join(columns, ", ") + ")",
		"CREATE TABLE IF NOT EXISTS " + sqliteGate + " (id INTEGER PRIMARY KEY CHECK (id = 1), state INTEGER NOT NULL)",
		fmt.Sprintf("INSERT INTO %s (id, state) VALUES (1, %d) ON CONFLICT (id) DO UPDATE SET state = excluded.state", sqliteGate, gateOpen),
	}
	for _, t := range c.tables {
		statements = append(statements, c.unwatch(t)...)
		statements = append(statements,
			c.watch(t, "insert", "NEW"), c.watch(t, "update", "OLD", "NEW"), c.watch(t, "delete", "OLD"))
	}
	return inTx(ctx, conn, statements...)
}

func (c *sqliteCapture) watch(t *table, event string, rows ...string) string {
	body := fmt.Sprintf("SELECT RAISE(ABORT, %s) WHERE (SELECT state FROM %s) <> %d;", literal(frozen+"; try the transaction again"), sqliteGate, gateOpen)
	for _, row := range rows {
		names, values := make([]string, len(t.key)), make([]string, len(t.key))
		for i, k := range t.key {
			names[i], values[i] = fmt.Sprintf("k%d", i), row+"."+quote(k)
		}
		body += " INSERT INTO " + sqliteLog + " (tab, " + strings.Join(names, ", ") + ") VALUES (" + literal(t.name) + ", " + strings.Join(values, ", ") + ");"
	}
	return "CREATE TRIGGER " + c.trigger(t, event) + " AFTER " + strings.ToUpper(event) + " ON " + t.ref + " BEGIN " + body + " END"
}

func (c *sqliteCapture) unwatch(t *table) []string {
	var statements []string
	for _, event := range []string{"insert", "update", "delete"} {
		statements = append(statements, "DROP TRIGGER IF EXISTS "+c.trigger(t, event))
	}
	return statements
}

func (c *sqliteCapture) setGate(ctx context.Context, conn *sql.Conn, to int) error {
	_, err := conn.ExecContext(ctx, fmt.Sprintf("UPDATE %s SET state = %d", sqliteGate, to))
	return err
}

func (c *sqliteCapture) freeze(ctx context.Context, conn *sql.Conn) error {
	return c.setGate(ctx, conn, gateShut)
}

func (c *sqliteCapture) thaw(ctx context.Context, conn *sql.Conn) error {
	return c.setGate(ctx, conn, gateOpen)
}

func (c *sqliteCapture) remove(ctx context.Context, conn *sql.Conn) error {
	var statements []string
	for _, t := range c.tables {
		statements = append(statements, c.unwatch(t)...)
	}
	return inTx(ctx, conn, append(statements, "DROP TABLE IF EXISTS "+sqliteLog, "DROP TABLE IF EXISTS "+sqliteGate)...)
}

// leave has nothing to do: who still has the file open finds the gate shut.
func (c *sqliteCapture) leave(context.Context, *sql.Conn) error { return nil }

// reopen has nothing to do: a file that was left is gone.
func (c *sqliteCapture) reopen(context.Context, *sql.Conn) error { return nil }

func (c *sqliteCapture) changes(ctx context.Context, conn *sql.Conn, tx *sql.Tx) (changes, error) {
	seen := &sqliteChanges{conn: conn, tx: tx}
	err := tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) FROM "+sqliteLog).Scan(&seen.last)
	return seen, err
}

// sqliteChanges reads the log in the transaction that reads the rows. Numbers in it
// are given out in the order of commits.
type sqliteChanges struct {
	conn *sql.Conn
	tx   *sql.Tx
	last int64
}

func (c *sqliteChanges) close() {}

func (c *sqliteChanges) keys(ctx context.Context, t *table) (keySet, error) {
	set := keySet{columns: len(t.key)}
	names, dest, raw := make([]string, len(t.key)), make([]any, len(t.key)), make([]any, len(t.key))
	for i := range names {
		names[i], dest[i] = fmt.Sprintf("k%d", i), &raw[i]
	}
	key := make([]value, len(t.key))
	query := "SELECT DISTINCT " + strings.Join(names, ", ") + " FROM " + sqliteLog + " WHERE tab = ?"
	err := each(ctx, c.tx, query, []any{t.name}, func(scan func(...any) error) error {
		if err := scan(dest...); err != nil {
			return err
		}
		for i, name := range t.key {
			var err error
			if key[i], err = fromSQLite(t.column(name).kind, raw[i]); err != nil {
				return err
			}
		}
		set.add(key)
		return nil
	})
	return set, err
}

func (c *sqliteChanges) forget(ctx context.Context) error {
	_, err := c.conn.ExecContext(ctx, "DELETE FROM "+sqliteLog+" WHERE seq <= ?", c.last)
	return err
}
