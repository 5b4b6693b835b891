package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// database is what a *sql.DB, *sql.Conn and *sql.Tx have in common.
type database interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Statements that most clauses use.
const (
	allNotes  = "SELECT body FROM notes"
	allTags   = "SELECT name FROM tags"
	allLabels = "SELECT name FROM labels"

	everything = "SELECT body || ' ' || version FROM notes UNION ALL SELECT name FROM tags UNION ALL SELECT name FROM labels"

	oneNote = "SELECT body FROM notes WHERE id = ?"
	wrong   = "SELECT body FROM no_such_table"
)

// bind puts the dialect's placeholders in place of question marks.
func (s *suite) bind(query string) string {
	if s.Dialect == SQLite {
		return query
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// marks runs query, whose one column must hold marks of g, and returns how many
// it saw. It leaves ctx as it is; read and expect put g into it.
func (s *suite) marks(ctx context.Context, db database, g guest, query string, args ...any) (int, error) {
	rows, err := db.QueryContext(ctx, s.bind(query), args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	n, err := s.scan(rows, g)
	if err != nil {
		return n, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}

// scan reads rows to their end, checks that each is g's and counts them.
func (s *suite) scan(rows *sql.Rows, g guest) (int, error) {
	marks, err := s.collect(rows, g)
	return len(marks), err
}

// collect reads rows to their end and checks that each is g's.
func (s *suite) collect(rows *sql.Rows, g guest) ([]string, error) {
	var marks []string
	for rows.Next() {
		var mark sql.NullString
		if err := rows.Scan(&mark); err != nil {
			return marks, err
		}
		if err := g.owns(mark.String); err != nil {
			return marks, err
		}
		marks = append(marks, mark.String)
	}
	s.checked.Add(int64(len(marks)))
	return marks, rows.Err()
}

// read is marks as g.
func (s *suite) read(ctx context.Context, db database, g guest, query string, args ...any) (int, error) {
	return s.marks(g.in(ctx), db, g, query, args...)
}

// expect reads as g and wants n rows, all of them g's.
func (s *suite) expect(ctx context.Context, db database, g guest, n int, query string, args ...any) error {
	got, err := s.read(ctx, db, g, query, args...)
	if err == nil && got != n {
		err = fmt.Errorf("%s: tenant %s read %d rows of its own, want %d", query, g.ID, got, n)
	}
	return err
}

// hidden reads as g what must not be there for it: an error will do, and so will
// no rows.
func (s *suite) hidden(ctx context.Context, db database, g guest, query string, args ...any) error {
	rows, err := db.QueryContext(g.in(ctx), s.bind(query), args...)
	if err != nil {
		return nil // a refusal is as good as no rows
	}
	defer func() { _ = rows.Close() }() // Err is of no interest
	if rows.Next() {
		return fmt.Errorf("%w: tenant %s got an answer to %s", ErrLeak, g.ID, query)
	}
	_ = rows.Err() // a refusal is as good as no rows
	return nil
}

// number reads one number as g.
func (s *suite) number(ctx context.Context, db database, g guest, query string, args ...any) (int64, error) {
	var n int64
	if err := db.QueryRowContext(g.in(ctx), s.bind(query), args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return n, nil
}

// exec runs a statement as g and returns how many rows it affected.
func (s *suite) exec(ctx context.Context, db database, g guest, query string, args ...any) (int64, error) {
	result, err := db.ExecContext(g.in(ctx), s.bind(query), args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", query, err)
	}
	return result.RowsAffected()
}

// affect runs a statement as g and wants it to affect n rows.
func (s *suite) affect(ctx context.Context, db database, g guest, n int64, query string, args ...any) error {
	got, err := s.exec(ctx, db, g, query, args...)
	switch {
	case err != nil:
		return err
	case got > n:
		return fmt.Errorf("%w: %s: tenant %s affected %d rows, want %d", ErrLeak, query, g.ID, got, n)
	case got < n:
		return fmt.Errorf("%s: tenant %s affected %d rows, want %d", query, g.ID, got, n)
	}
	return nil
}

// intact wants each guest to see its seeds, just as they were written, and
// nothing else.
func (s *suite) intact(ctx context.Context, guests ...guest) error {
	for _, g := range guests {
		if err := s.intactOn(ctx, s.db, g); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) intactOn(ctx context.Context, db database, g guest) error {
	rows, err := db.QueryContext(g.in(ctx), everything)
	if err != nil {
		return fmt.Errorf("reading everything of tenant %s: %w", g.ID, err)
	}
	defer func() { _ = rows.Close() }() // Err tells
	got, err := s.collect(rows, g)
	if err != nil {
		return fmt.Errorf("reading everything of tenant %s: %w", g.ID, err)
	}
	slices.Sort(got)
	if want := g.everything(); !slices.Equal(got, want) {
		return fmt.Errorf("tenant %s has not what it wrote: got %q, want %q", g.ID, got, want)
	}
	return nil
}

// wantErr wants err to wrap want.
func wantErr(what string, err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%s: got error %w, want %w", what, orNone(err), want)
}

// wantAnyErr wants err not to be nil.
func wantAnyErr(what string, err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("%s: got no error, want one", what)
}

var errNone = errors.New("none")

func orNone(err error) error {
	if err == nil {
		return errNone
	}
	return err
}

// inOrder runs steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// maxErrors is how many errors of goroutines are worth reading.
const maxErrors = 3

// parallel runs do in n goroutines and returns some of their errors, leaks first.
func parallel(n int, do func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = do(i) })
	}
	wg.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	slices.SortStableFunc(errs, func(a, b error) int { return rank(a) - rank(b) })
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors], fmt.Errorf("and %d more goroutines failed", more))
	}
	return errors.Join(errs...)
}

func rank(err error) int {
	if errors.Is(err, ErrLeak) {
		return 0
	}
	return 1
}
