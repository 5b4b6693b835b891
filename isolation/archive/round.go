package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errAnew means that the copy is better made anew.
var errAnew = errors.New("archive: copy anew")

// follower brings a copy up to what its original became. It keeps the tally of the
// copy, so that what was verified once is not read again.
type follower struct {
	from, to   *end
	schema     string   // fingerprint of the original's
	manifest   Manifest // of the original, without rows
	tallies    []tally  // of the copy, by table of the manifest
	record     capture
	conn       *sql.Conn // the administrator's, at the original
	there      *sql.Conn // the administrator's, at the copy
	wholeFirst bool      // tallies are not known: read both sides once
}

// round lets the copy follow all changes up to a moment. It returns how many rows
// changed. With last set, nothing may change any more, and both sides are counted
// and the sequences set.
func (f *follower) round(ctx context.Context, last func(ctx context.Context, target *sql.Tx, in *filler) error) (n int, err error) {
	err = f.from.view(ctx, f.from.tenant, f.from.dialect, func(ctx context.Context, source *sql.Tx) error {
		seen, err := f.record.changes(ctx, f.conn, source)
		if err != nil {
			return err
		}
		defer seen.close()
		keys := make([]keySet, len(f.from.home.tables))
		for i, t := range f.from.home.tables {
			if keys[i], err = seen.keys(ctx, t); err != nil {
				return err
			}
			n += keys[i].len()
		}
		if n == 0 && last == nil && !f.wholeFirst {
			return nil
		}
		if err := f.apply(ctx, source, keys, last); err != nil {
			return err
		}
		return seen.forget(ctx)
	})
	return n, err
}

// apply brings the changed rows over in one transaction.
func (f *follower) apply(ctx context.Context, source *sql.Tx, keys []keySet, last func(context.Context, *sql.Tx, *filler) error) error {
	whole := f.wholeFirst
	f.wholeFirst = true // should this fail, nobody knows what the copy has
	var tallies []tally
	err := f.to.update(ctx, f.to.tenant, f.to.dialect, func(ctx context.Context, target *sql.Tx) error {
		b := &bringing{follower: f, source: source, target: target, keys: keys}
		var err error
		if tallies, err = b.run(ctx); err != nil {
			return err
		}
		if whole {
			if tallies, err = b.compareAll(ctx); err != nil {
				return err
			}
		}
		if last != nil {
			if err := last(ctx, target, b.in); err != nil {
				return err
			}
			if err := b.count(ctx, tallies); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		f.tallies, f.wholeFirst = tallies, false
	}
	return err
}

// bringing is one transaction of it.
type bringing struct {
	*follower
	source, target *sql.Tx
	keys           []keySet
	in             *filler
	gone           []keySet // keys of rows that are not there any more
}

// run brings the rows over: first those that are there, then away with those that are
// gone, so that no reference ever hangs. Where that breaks a unique key, which a gone
// row may still hold, it is tried the other way round.
func (b *bringing) run(ctx context.Context) ([]tally, error) {
	tallies, err := b.attempt(ctx, b.put, b.drop)
	if !isConstraint(err) {
		return tallies, err
	}
	tallies, second := b.attempt(ctx, b.drop, b.put)
	if isConstraint(second) {
		return nil, fmt.Errorf("%w: %w", errAnew, errors.Join(err, second))
	}
	return tallies, second
}

// isConstraint reports whether a constraint kept a statement from changing rows.
func isConstraint(err error) bool {
	return err != nil && (strings.HasPrefix(sqlState(err), "23") || strings.Contains(err.Error(), "constraint failed"))
}

func (b *bringing) attempt(ctx context.Context, steps ...func(context.Context) error) ([]tally, error) {
	b.in = b.to.filler(b.target, upsertRows)
	if err := b.in.plan(b.manifest); err != nil {
		return nil, err
	}
	if _, err := b.target.ExecContext(ctx, "SAVEPOINT tenancy_round"); err != nil {
		return nil, err
	}
	tallies, err := b.steps(ctx, steps)
	if err != nil {
		if _, undo := b.target.ExecContext(ctx, "ROLLBACK TO SAVEPOINT tenancy_round"); undo != nil {
			return nil, errors.Join(err, undo)
		}
	}
	return tallies, err
}

func (b *bringing) steps(ctx context.Context, steps []func(context.Context) error) ([]tally, error) {
	if err := b.in.letWait(ctx); err != nil {
		return nil, err
	}
	if err := b.find(ctx); err != nil {
		return nil, err
	}
	tallies := slices.Clone(b.tallies)
	if err := b.tally(ctx, func(i int, row []byte) { tallies[i].sub(row) }); err != nil {
		return nil, err
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	got := make([]tally, len(tallies))
	err := b.tally(ctx, func(i int, row []byte) {
		got[i].add(row)
		tallies[i].add(row)
	})
	if err != nil {
		return nil, err
	}
	for i, t := range b.in.tables {
		if got[i] != t.expected {
			return nil, fmt.Errorf("%w: of table %s, %d changed rows were written and %d are there, or others", ErrMismatch, t.name, t.expected.Rows, got[i].Rows)
		}
	}
	return tallies, nil
}

// each calls work with the keys of table i, some at a time, as both sides spell them.
func (b *bringing) each(i int, keys keySet, work func(source, target [][]value) error) error {
	from, to := b.from.home.tables[i], b.in.tables[i]
	return keys.batches(func(source [][]value) error {
		target, err := b.translate(from, to, source)
		if err != nil {
			return err
		}
		return work(source, target)
	})
}

// translate returns keys as the copy's table has them.
func (b *bringing) translate(from *table, to *filling, keys [][]value) ([][]value, error) {
	positions := make([]int, len(to.key))
	for i, name := range to.key {
		positions[i] = slices.Index(from.key, name)
		if positions[i] < 0 || len(to.key) != len(from.key) {
			return nil, fmt.Errorf("%w: the key of table %s is (%s) in one home and (%s) in the other", ErrSchema, from.name, quoteAll(from.key), quoteAll(to.key))
		}
	}
	columns, err := to.entry.index(to.key)
	if err != nil {
		return nil, err
	}
	translated := make([][]value, len(keys))
	for n, key := range keys {
		translated[n] = make([]value, len(key))
		for i, at := range positions {
			if translated[n][i], err = b.in.expect(to, columns[i], key[at]); err != nil {
				return nil, err
			}
		}
	}
	return translated, nil
}

// find finds out which of the changed rows are gone.
func (b *bringing) find(ctx context.Context) error {
	b.gone = make([]keySet, len(b.keys))
	for i, t := range b.from.home.tables {
		b.gone[i].columns = len(t.key)
		var cols []column
		for _, name := range t.key {
			cols = append(cols, *t.column(name))
		}
		err := b.keys[i].batches(func(keys [][]value) error {
			there := map[string]bool{}
			if err := b.read(ctx, b.source, b.from.dialect, t, cols, keys, func(row []byte) error {
				there[string(row)] = true
				return nil
			}); err != nil {
				return err
			}
			var raw []byte
			for _, key := range keys {
				raw = raw[:0]
				for _, v := range key {
					raw = appendValue(raw, v)
				}
				if !there[string(raw)] {
					b.gone[i].add(key)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads the rows with keys.
func (b *bringing) read(ctx context.Context, tx *sql.Tx, d dialect, t *table, cols []column, keys [][]value, emit func([]byte) error) error {
	condition, args, err := d.matching(t, keys)
	if err != nil {
		return err
	}
	return scan(ctx, d, tx, t, cols, condition, args, emit)
}

// tally calls count with each row that the copy has of the changed ones.
func (b *bringing) tally(ctx context.Context, count func(i int, row []byte)) error {
	for i, t := range b.in.tables {
		err := b.each(i, b.keys[i], func(_, keys [][]value) error {
			return b.read(ctx, b.target, b.to.dialect, t.table, t.read, keys, func(row []byte) error {
				count(i, row)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// put writes the changed rows that are there.
func (b *bringing) put(ctx context.Context) error {
	for i, t := range b.from.home.tables {
		err := b.keys[i].batches(func(keys [][]value) error {
			return b.read(ctx, b.source, b.from.rounding(), t, t.columns, keys, func(row []byte) error { return b.in.row(ctx, i, row) })
		})
		if err != nil {
			return err
		}
		if err := b.in.tables[i].rows.flush(ctx); err != nil {
			return err
		}
	}
	for i, t := range b.from.home.tables {
		links := t.links()
		if len(links) == 0 {
			continue
		}
		var cols []column
		for _, name := range slices.Concat(t.key, links) {
			cols = append(cols, *t.column(name))
		}
		err := b.keys[i].batches(func(keys [][]value) error {
			return b.read(ctx, b.source, b.from.rounding(), t, cols, keys, func(row []byte) error { return b.in.link(ctx, i, row) })
		})
		if err != nil {
			return err
		}
	}
	return b.in.flush(ctx)
}

// drop deletes the changed rows that are gone.
func (b *bringing) drop(ctx context.Context) error {
	for i, t := range b.in.tables {
		if links := t.table.links(); len(links) > 0 {
			if err := b.change(ctx, i, "UPDATE "+t.ref+" SET "+assignNull(links)); err != nil {
				return err
			}
		}
	}
	for i, t := range slices.Backward(b.in.tables) {
		if err := b.change(ctx, i, "DELETE FROM "+t.ref); err != nil {
			return err
		}
	}
	return nil
}

// change runs a statement on the rows of table i that are gone.
func (b *bringing) change(ctx context.Context, i int, statement string) error {
	return b.each(i, b.gone[i], func(_, keys [][]value) error {
		condition, args, err := b.to.dialect.matching(b.in.tables[i].table, keys)
		if err != nil {
			return err
		}
		_, err = b.target.ExecContext(ctx, statement+" WHERE "+condition, args...)
		return err
	})
}

// count compares the number of rows of both sides with the tallies.
func (b *bringing) count(ctx context.Context, tallies []tally) error {
	for i, t := range b.in.tables {
		there, err := count(ctx, b.source, b.from.home.tables[i])
		if err != nil {
			return err
		}
		here, err := count(ctx, b.target, t.table)
		if err != nil {
			return err
		}
		if there != here || here != tallies[i].Rows {
			return fmt.Errorf("%w: %w: table %s has %d rows, its copy %d, of which %d were verified", errAnew, ErrMismatch, t.name, there, here, tallies[i].Rows)
		}
	}
	return nil
}

// compareAll reads both sides whole, and returns their tallies.
func (b *bringing) compareAll(ctx context.Context) ([]tally, error) {
	tallies := make([]tally, len(b.in.tables))
	for i, t := range b.in.tables {
		t.expected = tally{}
		from := b.from.home.tables[i]
		err := scan(ctx, b.from.rounding(), b.source, from, from.columns, "", nil, func(row []byte) error { return b.in.tally(t, row) })
		if err != nil {
			return nil, err
		}
		err = scan(ctx, b.to.dialect, b.target, t.table, t.read, "", nil, func(row []byte) error {
			tallies[i].add(row)
			return nil
		})
		if err != nil {
			return nil, err
		}
		if tallies[i] != t.expected {
			return nil, fmt.Errorf("%w: %w: table %s has %d rows, its copy %d, or others", errAnew, ErrMismatch, t.name, t.expected.Rows, tallies[i].Rows)
		}
	}
	return tallies, nil
}

// quick is how little time a round takes when the copy is close enough.
const quick = 150 * time.Millisecond
