package benchmarks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkIsolation compares plain lib/pq, whose queries say WHERE tenant_id =
// $1, with the strategies, whose queries do not mention the tenant.
func BenchmarkIsolation(b *testing.B) {
	worlds := []world{plain(b), rowWorld(b), schemaWorld(b), databaseWorld(b)}
	all := contexts()
	for b.Loop() {
		one(b, worlds, all).print(b)
		eight(b, worlds, all).print(b)
	}
}

// one runs each work on one goroutine: for the same tenant, for as many tenants as
// there are connections in turn, and for all.
func one(b *testing.B, worlds []world, all []context.Context) *table {
	b.Helper()
	t := &table{title: "One goroutine"}
	for _, w := range works() {
		for _, in := range []struct {
			label   string
			tenants int
		}{{"one tenant", 1}, {fmt.Sprint(conns, " tenants in turn"), conns}, {fmt.Sprint(len(all), " tenants in turn"), len(all)}} {
			t.add(w.name+", "+in.label, compare(b, 1, contend(worlds, w, func(_, i int) context.Context { return all[i%in.tenants] })...))
		}
	}
	return t
}

// eight runs each work on eight goroutines: each for a tenant of its own, and each
// for all tenants in turn.
func eight(b *testing.B, worlds []world, all []context.Context) *table {
	b.Helper()
	t := &table{title: fmt.Sprintf("%d goroutines on %d connections", conns, conns)}
	for _, w := range works() {
		t.add(w.name+", a tenant each", compare(b, conns, contend(worlds, w, func(worker, _ int) context.Context { return all[worker] })...))
	}
	far := len(all) / conns
	t.add(fmt.Sprintf("point read, %d tenants in turn", len(all)),
		compare(b, conns, contend(worlds, works()[0], func(worker, i int) context.Context { return all[(worker*far+i)%len(all)] })...))
	return t
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
		contenders[c] = contender{name: place.name, op: func(worker, i int) error {
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
	return w.within(ctx, id, func(h handle) error { return readOne(ctx, h, w.explicit, id, i) })
}

// within runs do on the world's *sql.DB, or in a transaction where hosts need one.
func (w world) within(ctx context.Context, id string, do func(h handle) error) error {
	if w.byHand {
		return inTx(ctx, w.db, id, do)
	}
	return do(w.db)
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
	return w.within(ctx, id, func(h handle) error { return listFrom(ctx, h, w.explicit, id, i) })
}

func listFrom(ctx context.Context, h handle, explicit bool, id string, i int) error {
	query, args := `SELECT id, title, amount FROM items WHERE id > $1 ORDER BY id LIMIT 50`, []any{i % (*rowsPerTenant - 60)}
	if explicit {
		query, args = `SELECT id, title, amount FROM items WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT 50`, []any{id, args[0]}
	}
	rows, err := h.QueryContext(ctx, query, args...)
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
	return w.within(ctx, id, func(h handle) error { return insertOne(ctx, h, w.explicit, id) })
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
	if w.byHand {
		return inTx(ctx, w.db, id, func(h handle) error { return three(ctx, h, w.explicit, id, i) })
	}
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := three(ctx, tx, w.explicit, id, i); err != nil {
		return err
	}
	return tx.Commit()
}

// three reads, changes and adds a row.
func three(ctx context.Context, tx handle, explicit bool, id string, i int) error {
	if err := readOne(ctx, tx, explicit, id, i); err != nil {
		return err
	}
	query, args := `UPDATE items SET amount = amount + 1 WHERE id = $1`, []any{1 + i%*rowsPerTenant}
	if explicit {
		query, args = `UPDATE items SET amount = amount + 1 WHERE tenant_id = $1 AND id = $2`, []any{id, args[0]}
	}
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return err
	}
	return insertOne(ctx, tx, explicit, id)
}
