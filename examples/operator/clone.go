package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/tenancy-go/tenancy/isolation/archive"
	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

func cloneEntry() entry {
	return entry{
		name: "clone", args: "FROM TO", least: 2, most: 2, new: func() command { return &cloneCommand{} },
		summary: "Make a new tenant with the rows of another",
		help: `Copies the rows as they are at one moment, into any cell. Fields that are
sealed with the key of the one are sealed anew with the key of the other. The
new tenant is active once all is there; interrupted, the same command begins
its copy anew.`,
	}
}

type cloneCommand struct{ cell, name string }

func (c *cloneCommand) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.cell, "cell", "", "`cell` to put it in; else that of the original")
	fs.StringVar(&c.name, "name", "", "`name` for people; else its ID")
}

func (c *cloneCommand) run(ctx context.Context, s *session, args []string) (result, error) {
	p, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	original, err := p.find(ctx, args[0])
	if err != nil {
		return nil, err
	}
	if err := p.mayBecome(ctx, args[1]); err != nil {
		return nil, err
	}
	home, err := p.home(ctx, original)
	if err != nil {
		return nil, err
	}
	if c.cell == "" {
		c.cell = home.Name
	}
	from, err := s.source(ctx, p, original, false)
	if err != nil {
		return nil, err
	}
	to := tenant.Tenant{ID: tenant.ID(args[1]), Slug: args[1], Name: c.name, Plan: original.Plan}
	if to.Name == "" {
		to.Name = args[1]
	}
	return s.clone(ctx, p, from, original, to, c.cell)
}

// mayBecome returns an error if there is an active tenant of this ID.
func (p *platform) mayBecome(ctx context.Context, id string) error {
	t, err := p.tenants.Find(ctx, tenant.ByID(tenant.ID(id)))
	switch {
	case errors.Is(err, tenant.ErrNotFound):
		return nil
	case err == nil && t.Status != tenant.StatusProvisioning:
		return fmt.Errorf("tenant %s is there already (%s)", id, t.Status)
	}
	return err
}

// clone lets one archiver read what another writes.
func (s *session) clone(ctx context.Context, p *platform, from *archive.Archiver, original, to tenant.Tenant, cell string) (result, error) {
	b := s.begin(fmt.Sprintf("clone %s", original.ID), 0)
	defer b.end()
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	exported := make(chan error, 1)
	go func() {
		_, err := from.Export(ctx, original, w)
		exported <- errors.Join(err, w.CloseWithError(err))
	}()
	in := arrival{from: original.ID, cell: cell, opts: []archive.RestoreOption{archive.AsClone()}}
	done, err := s.arrive(ctx, p, to, in, &counter{r: r, b: b})
	err = errors.Join(err, r.CloseWithError(errors.Join(err, io.ErrClosedPipe)))
	if exportErr := <-exported; err == nil {
		err = exportErr
	}
	if err != nil {
		return nil, err
	}
	done.Seconds = time.Since(start).Seconds()
	return done, nil
}

// executor is a *sql.DB or *sql.Tx.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// adopt seals fields anew that another tenant's key has sealed.
func (p *platform) adopt(ctx context.Context, db executor, from tenant.ID, t tenant.Tenant) (sealed int, err error) {
	theirs, ours := tenant.NewContext(ctx, tenant.Tenant{ID: from}), tenant.NewContext(ctx, t)
	for _, cells := range sealedColumns() {
		n, err := adoptColumn(theirs, ours, p.keys, db, cells)
		sealed += n
		if err != nil {
			return sealed, fmt.Errorf("seal %s anew for %s: %w", cells.Column, t.ID, err)
		}
	}
	return sealed, nil
}

// adoptColumn does so in one column.
func adoptColumn(theirs, ours context.Context, keys *envelope.Keys, db executor, cells envelope.Cells) (sealed int, err error) {
	update := fmt.Sprintf(`UPDATE %s SET %s = $1 WHERE %s = $2`, cells.Column.Table, cells.Column.Name, cells.Key)
	err = eachSealed(ours, db, cells, func(f sealedField) error {
		fresh, err := adoptField(theirs, ours, keys, cells.Column, f.sealed)
		if err != nil {
			return fmt.Errorf("row %d: %w", f.key, err)
		}
		if fresh == nil {
			return nil
		}
		sealed++
		_, err = db.ExecContext(ours, update, fresh, f.key)
		return err
	})
	return sealed, err
}

// eachSealed goes through the sealed fields of a column in the order of its key.
func eachSealed(ctx context.Context, db executor, cells envelope.Cells, do func(sealedField) error) error {
	var after int64
	for {
		batch, err := readSealed(ctx, db, cells, after)
		if err != nil || len(batch) == 0 {
			return err
		}
		for _, f := range batch {
			after = f.key
			if err := do(f); err != nil {
				return err
			}
		}
	}
}

type sealedField struct {
	key    int64
	sealed envelope.Sealed
}

func readSealed(ctx context.Context, db executor, cells envelope.Cells, after int64) (batch []sealedField, err error) {
	query := fmt.Sprintf(`SELECT %[1]s, %[2]s FROM %[3]s WHERE %[1]s > $1 AND %[2]s IS NOT NULL ORDER BY %[1]s LIMIT 500`,
		cells.Key, cells.Column.Name, cells.Column.Table) // names from app.go
	rows, err := db.QueryContext(ctx, query, after)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var f sealedField
		if err := rows.Scan(&f.key, &f.sealed); err != nil {
			return nil, err
		}
		batch = append(batch, f)
	}
	return batch, rows.Err()
}

// adoptField returns nil for what is ours already.
func adoptField(theirs, ours context.Context, keys *envelope.Keys, column envelope.Column, sealed envelope.Sealed) (envelope.Sealed, error) {
	if _, err := keys.Open(ours, column, sealed); err == nil {
		return nil, nil
	}
	plaintext, err := keys.Open(theirs, column, sealed)
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	return keys.Seal(ours, column, plaintext)
}
