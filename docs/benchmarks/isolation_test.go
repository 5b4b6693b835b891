package benchmarks

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkIsolation compares plain lib/pq, whose queries say WHERE tenant_id =
// $1, with the strategies, whose queries do not mention the tenant.
func BenchmarkIsolation(b *testing.B) {
	worlds := []world{plain(b), rowWorld(b), schemaWorld(b), databaseWorld(b)}
	all := contexts()
	for b.Loop() {
		for _, workers := range []int{1, 4 * runtime.GOMAXPROCS(0)} {
			results := table{title: titleFor(workers)}
			for _, w := range works() {
				results.add(w.name+", one tenant", compare(b, workers, contend(worlds, w, func(worker, _ int) context.Context { return all[worker] })...))
				if workers > 1 {
					continue
				}
				results.add(w.name+", tenants alternate", compare(b, workers, contend(worlds, w, func(_, i int) context.Context { return all[i%len(all)] })...))
			}
			if workers > 1 {
				results.add("point read, tenants alternate", compare(b, workers, contend(worlds, works()[0], func(worker, i int) context.Context { return all[(worker*125+i)%len(all)] })...))
			}
			results.print(b)
		}
	}
}

func titleFor(workers int) string {
	if workers == 1 {
		return "One goroutine"
	}
	return "Eight goroutines, eight connections"
}

// work is what an application does, in the words of a world.
type work struct {
	name string
	do   func(ctx context.Context, w world, id string, i int) error
}

func works() []work {
	return []work{
		{"point read", pointRead},
		{"list of 50", list},
		{"insert", insert},
		{"transaction of 3", transaction},
	}
}

func contend(worlds []world, w work, whose func(worker, i int) context.Context) []contender {
	contenders := make([]contender, len(worlds))
	for c, place := range worlds {
		contenders[c] = contender{place.name, func(worker, i int) error {
			ctx := whose(worker, i)
			return w.do(ctx, place, idOf(ctx), i)
		}}
	}
	return contenders
}

// handle is what *sql.DB and *sql.Tx share.
type handle interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func pointRead(ctx context.Context, w world, id string, i int) error {
	return readOne(ctx, w.db, w.explicit, id, i)
}

func readOne(ctx context.Context, h handle, explicit bool, id string, i int) error {
	var title string
	var amount int64
	key := 1 + i*7919%*rowsPerTenant
	if explicit {
		return h.QueryRowContext(ctx, `SELECT title, amount FROM items WHERE tenant_id = $1 AND id = $2`, id, key).Scan(&title, &amount)
	}
	return h.QueryRowContext(ctx, `SELECT title, amount FROM items WHERE id = $1`, key).Scan(&title, &amount)
}

func list(ctx context.Context, w world, id string, i int) error {
	query, args := `SELECT id, title, amount FROM items WHERE id > $1 ORDER BY id LIMIT 50`, []any{i % (*rowsPerTenant - 60)}
	if w.explicit {
		query, args = `SELECT id, title, amount FROM items WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 50`, []any{id, args[0]}
	}
	rows, err := w.db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var key, amount int64
		var title string
		if err := rows.Scan(&key, &title, &amount); err != nil {
			return err
		}
	}
	if n != 50 {
		return errors.Join(errors.New("list came short"), rows.Err())
	}
	return rows.Err()
}

// fresh are the keys of inserted rows.
var fresh atomic.Int64

func insert(ctx context.Context, w world, id string, _ int) error {
	return insertOne(ctx, w.db, w.explicit, id)
}

func insertOne(ctx context.Context, h handle, explicit bool, id string) error {
	key := 1_000_000 + fresh.Add(1)
	if explicit {
		_, err := h.ExecContext(ctx, `INSERT INTO items (tenant_id, id, title, amount) VALUES ($1, $2, $3, $4)`, id, key, "new", key)
		return err
	}
	_, err := h.ExecContext(ctx, `INSERT INTO items (id, title, amount) VALUES ($1, $2, $3)`, key, "new", key)
	return err
}

func transaction(ctx context.Context, w world, id string, i int) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := readOne(ctx, tx, w.explicit, id, i); err != nil {
		return err
	}
	query, args := `UPDATE items SET amount = amount + 1 WHERE id = $1`, []any{1 + i%*rowsPerTenant}
	if w.explicit {
		query, args = `UPDATE items SET amount = amount + 1 WHERE tenant_id = $1 AND id = $2`, []any{id, args[0]}
	}
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return err
	}
	if err := insertOne(ctx, tx, w.explicit, id); err != nil {
		return err
	}
	return tx.Commit()
}
