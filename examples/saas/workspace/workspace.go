package workspace

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenancy-go/tenancy/examples/saas/model"
)

// ErrNotFound means that the tenant has nothing of that ID, whether another
// tenant has or not.
var ErrNotFound = errors.New("workspace: not found")

// InputError says what is wrong with what a user typed.
type InputError struct {
	Field  string // name of the form's field: "title", "text", "model"
	Reason string // for the user: what to do about it
}

func (e *InputError) Error() string { return "workspace: " + e.Field + ": " + e.Reason }

// Limits of what a user can store.
const (
	MaxPrompt   = 20_000  // characters of a prompt
	MaxDocument = 200_000 // characters of a document
	MaxTitle    = 120     // characters of a title
	MaxListed   = 100     // newest entries of a list
)

// Workspace keeps conversations, documents and usage. Every method works for the
// tenant of its context, and fails without one. It is safe for concurrent use.
type Workspace struct {
	db     *sql.DB
	models model.Catalog
	now    func() time.Time
	limits limits
}

// New returns a Workspace on db, which is opened over an isolation.Pool. now is the
// clock, usually time.Now.
func New(db *sql.DB, models model.Catalog, now func() time.Time, opts ...Option) *Workspace {
	w := &Workspace{db: db, models: models, now: now}
	for _, opt := range opts {
		opt(w)
	}
	return w
}

// Models returns the models on offer.
func (w *Workspace) Models() model.Catalog { return w.models }

// inTx runs work in a transaction of ctx's tenant, and rolls back if work fails.
func (w *Workspace) inTx(ctx context.Context, work func(tx *sql.Tx) error) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("workspace: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := work(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("workspace: commit: %w", err)
	}
	return nil
}

// list returns what scan makes of each row.
func list[T any](ctx context.Context, db *sql.DB, scan func(row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("workspace: list: %w", err)
	}
	defer func() { _ = rows.Close() }()

	var found []T
	for rows.Next() {
		entry, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("workspace: read a row: %w", err)
		}
		found = append(found, entry)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("workspace: list: %w", err)
	}
	return found, nil
}

// one returns what scan makes of the only row, or ErrNotFound.
func one[T any](ctx context.Context, db *sql.DB, scan func(row) (T, error), query string, args ...any) (T, error) {
	entry, err := scan(db.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return entry, ErrNotFound
	}
	if err != nil {
		return entry, fmt.Errorf("workspace: read: %w", err)
	}
	return entry, nil
}

// row is a *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// mustAffect turns a statement that met no row into ErrNotFound.
func mustAffect(res sql.Result, err error) error {
	if err != nil {
		return fmt.Errorf("workspace: write: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return fmt.Errorf("workspace: write: %w", err)
	} else if n == 0 {
		return ErrNotFound
	}
	return nil
}

// newID returns an ID that nobody can guess.
func newID() string { return strings.ToLower(rand.Text()) }

var idPattern = regexp.MustCompile(`^[a-z2-7]{26}$`)

// isID reports whether newID could have returned id. Any other is unknown without
// asking the database, which may refuse to compare it: PostgreSQL takes no zero bytes.
func isID(id string) bool { return idPattern.MatchString(id) }

// stamp is a time as the database keeps it: microseconds since 1970.
func stamp(t time.Time) int64 { return t.UnixMicro() }

func unstamp(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// clean returns text as it is stored: without surrounding space and carriage
// returns. It refuses text that is empty, too long or not UTF-8.
func clean(field, text string, limit int) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch {
	case text == "":
		return "", &InputError{Field: field, Reason: "Write something first."}
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return "", &InputError{Field: field, Reason: "This is not plain text."}
	case utf8.RuneCountInString(text) > limit:
		return "", &InputError{Field: field, Reason: fmt.Sprintf("Keep it to %d characters; this has %d.", limit, utf8.RuneCountInString(text))}
	}
	return text, nil
}
