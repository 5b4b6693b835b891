package workspace

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/examples/saas/model"
)

// Document is a text that a tenant keeps.
type Document struct {
	ID        string
	Title     string
	Text      string // empty in a list
	Summary   string // empty until there is one
	Words     int
	CreatedAt time.Time
}

func scanDocument(r row) (Document, error) {
	var d Document
	var created int64
	err := r.Scan(&d.ID, &d.Title, &d.Text, &d.Summary, &d.Words, &created)
	d.CreatedAt = unstamp(created)
	return d, err
}

// Documents returns the limit newest documents without their text, at most
// MaxListed.
func (w *Workspace) Documents(ctx context.Context, limit int) ([]Document, error) {
	return list(ctx, w.db, scanDocument,
		`SELECT id, title, '', summary, words, created_at FROM documents ORDER BY created_at DESC, id LIMIT $1`, min(limit, MaxListed))
}

// Document returns one document, or ErrNotFound.
func (w *Workspace) Document(ctx context.Context, id string) (Document, error) {
	if !isID(id) {
		return Document{}, ErrNotFound
	}
	return one(ctx, w.db, scanDocument,
		`SELECT id, title, body, summary, words, created_at FROM documents WHERE id = $1`, id)
}

// AddDocument keeps a document. Errors are an InputError, a refusal of the tenant's
// plan or the database's.
func (w *Workspace) AddDocument(ctx context.Context, title, text string) (Document, error) {
	title, err := clean("title", title, MaxTitle)
	if err != nil {
		return Document{}, err
	}
	text, err = clean("text", text, MaxDocument)
	if err != nil {
		return Document{}, err
	}
	d := Document{ID: newID(), Title: title, Text: text, Words: model.Words(text), CreatedAt: w.now()}
	err = w.limits.keep(ctx, len(title)+len(text), func() error {
		return w.inTx(ctx, func(tx *sql.Tx) error { return w.insert(ctx, tx, d) })
	})
	return d, err
}

func (w *Workspace) insert(ctx context.Context, tx *sql.Tx, d Document) error {
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO documents (id, title, body, words, created_at) VALUES ($1, $2, $3, $4, $5)`,
		d.ID, d.Title, d.Text, d.Words, stamp(d.CreatedAt)); err != nil {
		return fmt.Errorf("workspace: add a document: %w", err)
	}
	return w.record(ctx, tx, event{kind: kindDocument, wordsIn: d.Words})
}

// SummariseDocument summarises a document and keeps the summary with it. Errors are
// ErrNotFound, a refusal of the tenant's plan, or the database's.
func (w *Workspace) SummariseDocument(ctx context.Context, id string) error {
	d, err := w.Document(ctx, id)
	if err != nil {
		return err
	}
	summariser := model.Summarise{}
	return w.limits.charge(ctx, summariser.Name(), d.Words, func() (int, error) {
		summary, err := summariser.Reply(ctx, []model.Turn{{Role: model.User, Text: d.Text}})
		if err != nil {
			return 0, fmt.Errorf("workspace: summarise: %w", err)
		}
		took := model.Words(summary)
		return d.Words + took, w.inTx(ctx, func(tx *sql.Tx) error {
			if err := mustAffect(tx.ExecContext(ctx, `UPDATE documents SET summary = $2 WHERE id = $1`, id, summary)); err != nil {
				return err
			}
			return w.record(ctx, tx, event{kind: kindSummary, model: summariser.Name(), wordsIn: d.Words, wordsOut: took})
		})
	})
}

// DeleteDocument removes a document and makes room for another, or fails with
// ErrNotFound.
func (w *Workspace) DeleteDocument(ctx context.Context, id string) error {
	if !isID(id) {
		return ErrNotFound
	}
	var freed int64
	err := w.inTx(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `DELETE FROM documents WHERE id = $1 RETURNING `+size, id).Scan(&freed)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return err
	}
	return w.limits.release(ctx, freed)
}
