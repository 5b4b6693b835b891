package archive

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"slices"

	"github.com/tenancy-go/tenancy/tenant"
)

// Restore makes t's home, if there is none, and puts an archive's rows into it: all
// of them, in one transaction that commits only after the rows were read back and
// are what the archive has, or none. Sequences go on where they were.
func (a *Archiver) Restore(ctx context.Context, t tenant.Tenant, r io.Reader, opts ...RestoreOption) (Manifest, error) {
	var c restoreConfig
	for _, opt := range opts {
		opt(&c)
	}
	return a.restore(ctx, t, c, func(ctx context.Context, to sink) (Manifest, error) {
		return feed(ctx, r, a.cipher, to)
	})
}

// Clone copies from's rows, as they are at one moment, to to, whose home it makes.
// Keys stay as they are; where they are unique across tenants, as a primary key
// without the tenant's column in shared tables is, cloning fails.
func (a *Archiver) Clone(ctx context.Context, from, to tenant.Tenant, opts ...RestoreOption) (Manifest, error) {
	c := restoreConfig{clone: true}
	for _, opt := range opts {
		opt(&c)
	}
	if from.ID == to.ID {
		return Manifest{}, fmt.Errorf("%w: %s cannot be its own clone", ErrOccupied, from.ID)
	}
	return a.restore(ctx, to, c, func(ctx context.Context, s sink) (Manifest, error) { return a.export(ctx, from, within{s, ctx}) })
}

// within is a sink that works in a context of its own: that of the tenant who takes
// the rows, where another's are read.
type within struct {
	sink
	ctx context.Context //nolint:containedctx // of one call of Clone
}

func (w within) begin(_ context.Context, m Manifest) error       { return w.sink.begin(w.ctx, m) }
func (w within) row(_ context.Context, i int, row []byte) error  { return w.sink.row(w.ctx, i, row) }
func (w within) link(_ context.Context, i int, row []byte) error { return w.sink.link(w.ctx, i, row) }
func (w within) end(_ context.Context, m Manifest) error         { return w.sink.end(w.ctx, m) }

// restore provisions t and fills its home from a source of rows.
func (a *Archiver) restore(ctx context.Context, t tenant.Tenant, c restoreConfig, source func(context.Context, sink) (Manifest, error)) (m Manifest, err error) {
	if err := a.strategy.Provision(ctx, t); err != nil {
		return m, err
	}
	h, d, err := a.catalog(ctx, t)
	if err != nil {
		return m, err
	}
	in := &filler{archiver: a, tenant: t, home: h, dialect: d, config: c}
	err = a.update(ctx, t, d, func(ctx context.Context, tx *sql.Tx) error {
		in.tx = tx
		if m, err = source(ctx, in); err != nil {
			return err
		}
		for _, f := range c.commit {
			if err := f(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("archive: restore tenant %s: %w", t.ID, err)
	}
	return m, nil
}

// filler is a sink that fills a home.
type filler struct {
	archiver *Archiver
	tenant   tenant.Tenant
	home     *home
	dialect  dialect
	config   restoreConfig
	mode     loadMode
	tx       *sql.Tx

	manifest Manifest
	tables   []*filling
	at       *filling // whose rows come
	links    *filling
	values   []value
	encoded  []byte
}

// filling is a table while it is filled.
type filling struct {
	*table
	entry    Table
	cols     []column // of the archive
	read     []column // as the rows will be read back
	rows     loader
	links    loader
	blank    []int // columns that links set later
	expected tally
}

func (f *filler) begin(ctx context.Context, m Manifest) error {
	if err := f.plan(m); err != nil {
		return err
	}
	if err := f.clear(ctx); err != nil {
		return err
	}
	return f.letWait(ctx)
}

// letWait lets deferrable references be checked at the end.
func (f *filler) letWait(ctx context.Context) error {
	s := f.dialect.deferred()
	if s == "" || !slices.ContainsFunc(f.home.tables, func(t *table) bool { return len(t.late) > 0 }) {
		return nil
	}
	_, err := f.tx.ExecContext(ctx, s)
	return err
}

// plan finds a table for each of the archive's.
func (f *filler) plan(m Manifest) error {
	if m.Tenant != f.tenant.ID && !f.config.clone {
		return fmt.Errorf("%w: the archive is of %s; use AsClone", ErrOtherTenant, m.Tenant)
	}
	if m.SchemaVersion != f.home.version && !f.config.otherSchema {
		return fmt.Errorf("%w: the archive has version %q, the home %q; use OtherSchema if the tables are alike", ErrSchema, m.SchemaVersion, f.home.version)
	}
	f.manifest = m
	for _, entry := range m.Tables {
		t, err := f.match(entry)
		if err != nil {
			return err
		}
		f.tables = append(f.tables, t)
	}
	return f.checkOrder()
}

// match finds the table of the home that is to take an archive's rows.
func (f *filler) match(entry Table) (*filling, error) {
	t := f.home.find(entry.Name)
	if t == nil {
		return nil, fmt.Errorf("%w: there is no table %s, or more than one", ErrSchema, entry.Name)
	}
	in := &filling{table: t, entry: entry, cols: entry.columns()}
	var has []int
	for i, c := range in.cols {
		if t.column(c.name) == nil {
			return nil, fmt.Errorf("%w: table %s has no column %s", ErrSchema, t.name, c.name)
		}
		if contains(t.links(), c.name) {
			in.blank = append(in.blank, i)
		}
		has = append(has, i)
	}
	if !f.config.otherSchema {
		for _, c := range t.columns {
			if _, err := entry.index([]string{c.name}); err != nil {
				return nil, fmt.Errorf("%w: the archive's %w; OtherSchema lets the column's default fill it in", ErrSchema, err)
			}
		}
	}
	in.read = f.dialect.kinds(in.cols, t)
	in.rows = f.dialect.loader(f.tx, t, in.cols, has, f.mode, string(f.tenant.ID))
	return in, f.matchLinks(in)
}

// matchLinks prepares for the links that come after all rows.
func (f *filler) matchLinks(in *filling) error {
	if len(in.blank) == 0 {
		return nil
	}
	for _, i := range in.blank {
		if !contains(in.entry.Links, in.cols[i].name) {
			return fmt.Errorf("%w: table %s refers in a circle by column %s, and where the rows come from it does not", ErrCircle, in.name, in.cols[i].name)
		}
	}
	names := slices.Concat(in.entry.Key, in.entry.Links)
	indexes, err := in.entry.index(names)
	if err != nil {
		return err
	}
	cols := make([]column, len(names))
	for i, n := range indexes {
		cols[i] = in.cols[n]
	}
	has := make([]int, len(names))
	for i := range has {
		has[i] = i
	}
	if !slices.Equal(in.entry.Key, in.key) {
		return fmt.Errorf("%w: the key of table %s is (%s), the archive's (%s)", ErrSchema, in.name, quoteAll(in.key), quoteAll(in.entry.Key))
	}
	in.links = f.dialect.loader(f.tx, in.table, cols, has, linkRows, string(f.tenant.ID))
	return nil
}

// checkOrder looks whether the archive's tables come in an order in which this home
// takes them. Each home may have foreign keys that others lack.
func (f *filler) checkOrder() error {
	placed := map[string]bool{}
	known := map[string]bool{}
	for _, t := range f.tables {
		if known[t.ref] {
			return fmt.Errorf("%w: two tables of the archive are %s here", ErrSchema, t.ref)
		}
		known[t.ref] = true
	}
	for _, t := range f.home.tables {
		if !known[t.ref] && !f.config.otherSchema {
			return fmt.Errorf("%w: the archive does not know table %s; use OtherSchema, or Exclude", ErrSchema, t.name)
		}
	}
	for _, t := range f.tables {
		for _, r := range open(t.table, known, placed) {
			late := slices.ContainsFunc(t.late, func(l reference) bool { return l.to == r.to && slices.Equal(l.columns, r.columns) })
			if !late {
				return fmt.Errorf("%w: table %s refers to %s here, and where the rows come from it does not", ErrSchema, t.name, r.to)
			}
		}
		placed[t.ref] = true
	}
	return nil
}

// clear makes sure that the home is empty.
func (f *filler) clear(ctx context.Context) error {
	if f.config.replace {
		for _, t := range f.home.tables {
			if links := t.links(); len(links) > 0 {
				if _, err := f.tx.ExecContext(ctx, "UPDATE "+t.ref+" SET "+assignNull(links)); err != nil {
					return err
				}
			}
		}
	}
	for _, t := range slices.Backward(f.home.tables) {
		if f.config.replace {
			if _, err := f.tx.ExecContext(ctx, "DELETE FROM "+t.ref); err != nil {
				return err
			}
		}
		var occupied bool
		if err := f.tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM "+t.ref+")").Scan(&occupied); err != nil {
			return err
		}
		if occupied {
			return fmt.Errorf("%w: table %s has rows; use Replace to delete them first", ErrOccupied, t.name)
		}
	}
	return nil
}

func assignNull(columns []string) string {
	s := ""
	for i, c := range columns {
		if i > 0 {
			s += ", "
		}
		s += quote(c) + " = NULL"
	}
	return s
}

func (f *filler) row(ctx context.Context, i int, row []byte) (err error) {
	t := f.tables[i]
	if f.at != t {
		if f.at != nil {
			if err := f.at.rows.flush(ctx); err != nil {
				return err
			}
		}
		f.at = t
	}
	if f.values, _, err = cutRow(f.values[:0], row, len(t.cols)); err != nil {
		return err
	}
	links := make([]value, len(t.blank))
	for n, i := range t.blank {
		links[n], f.values[i] = f.values[i], value{}
	}
	expected, err := t.rows.add(ctx, f.values)
	if err != nil {
		return err
	}
	f.encoded = f.encoded[:0]
	for i, v := range expected {
		if n := slices.Index(t.blank, i); n >= 0 {
			if v, err = f.expect(t, i, links[n]); err != nil {
				return err
			}
		}
		f.encoded = appendValue(f.encoded, v)
	}
	t.expected.add(f.encoded)
	return nil
}

// tally counts a row of the archive as it will be read back.
func (f *filler) tally(t *filling, row []byte) (err error) {
	if f.values, _, err = cutRow(f.values[:0], row, len(t.cols)); err != nil {
		return err
	}
	f.encoded = f.encoded[:0]
	for i, v := range f.values {
		if v, err = f.expect(t, i, v); err != nil {
			return err
		}
		f.encoded = appendValue(f.encoded, v)
	}
	t.expected.add(f.encoded)
	return nil
}

// expect returns what a value will be read back as.
func (f *filler) expect(t *filling, i int, v value) (value, error) {
	if _, ok := f.dialect.(pgDialect); ok {
		return toPostgres(t.cols[i].kind, t.read[i].kind, v)
	}
	return v, nil
}

func (f *filler) link(ctx context.Context, i int, row []byte) (err error) {
	t := f.tables[i]
	if f.at != nil {
		if err := f.at.rows.flush(ctx); err != nil {
			return err
		}
		f.at = nil
	}
	if t.links == nil {
		return nil // here the columns came with the rows
	}
	if f.links != t {
		if f.links != nil {
			if err := f.links.links.flush(ctx); err != nil {
				return err
			}
		}
		f.links = t
	}
	if f.values, _, err = cutRow(f.values[:0], row, len(t.entry.Key)+len(t.entry.Links)); err != nil {
		return err
	}
	_, err = t.links.add(ctx, f.values)
	return err
}

// end writes what is left, reads all rows back, and sets the sequences.
func (f *filler) end(ctx context.Context, m Manifest) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	if err := f.readAllBack(ctx); err != nil {
		return err
	}
	return setSequences(ctx, f.tx, f.dialect, f.home, m.Sequences, f.archiver.owner(f.tenant))
}

// flush writes what is left.
func (f *filler) flush(ctx context.Context) error {
	for _, t := range f.tables {
		if err := t.rows.flush(ctx); err != nil {
			return err
		}
	}
	for _, t := range f.tables {
		if t.links != nil {
			if err := t.links.flush(ctx); err != nil {
				return err
			}
		}
	}
	f.at, f.links = nil, nil
	return nil
}

func (f *filler) readAllBack(ctx context.Context) error {
	for _, t := range f.tables {
		if err := f.readBack(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// readBack compares what the table has with what it was given.
func (f *filler) readBack(ctx context.Context, t *filling) error {
	var got tally
	err := scan(ctx, f.dialect, f.tx, t.table, t.read, "", nil, func(row []byte) error {
		got.add(row)
		return nil
	})
	if err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	if got != t.expected {
		return fmt.Errorf("%w: table %s took %d rows and returns %d, or others: a column cannot hold its values as they are (%s)",
			ErrMismatch, t.name, t.expected.Rows, got.Rows, "in SQLite, numeric needs TEXT; NaN fits no REAL")
	}
	return nil
}

var _ sink = (*filler)(nil)
