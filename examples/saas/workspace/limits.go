package workspace

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// What plans say about a workspace, by the names that they have in plans.json.
const (
	LimitWords     = "words"     // given to models and written by them
	LimitDocuments = "documents" // that are kept
	LimitStorage   = "storage"   // bytes of the documents that are kept
	SetModels      = "models"
)

// Option changes a setting of [New].
type Option func(*Workspace)

// WithLimits holds every tenant to its plan: models, words, documents, storage. What
// the plan refuses fails with a [quota.Error]. Without it nothing is limited.
func WithLimits(e *quota.Enforcer) Option {
	return func(w *Workspace) {
		w.limits = limits{
			enforcer: e, words: e.Ref(LimitWords), documents: e.Ref(LimitDocuments), storage: e.Ref(LimitStorage), models: e.Ref(SetModels),
		}
	}
}

// limits claims what a workspace uses, and gives it back.
type limits struct {
	enforcer                          *quota.Enforcer // nil to limit nothing
	words, documents, storage, models quota.Ref
}

// claim claims all of claims or none. Without limits the grant is nil, and its methods
// do nothing.
func (l *limits) claim(ctx context.Context, claims ...quota.Claim) (*quota.Grant, error) {
	if l.enforcer == nil {
		return nil, nil
	}
	account, err := l.enforcer.Account(ctx)
	if err != nil {
		return nil, err
	}
	grant, decision := account.Claim(ctx, claims...)
	return grant, decision.Err()
}

// charge runs work, in which the model replies to a number of words. It claims as many
// words again for the reply, then counts those that work says it really took; nothing
// if work fails.
func (l *limits) charge(ctx context.Context, model string, words int, work func() (took int, err error)) error {
	grant, err := l.claim(ctx,
		quota.Claim{Limit: l.models, Key: model, N: 1},
		quota.Claim{Limit: l.words, N: 2 * int64(words)})
	if err != nil {
		return err
	}
	defer grant.Cancel(context.WithoutCancel(ctx)) // does nothing after Done
	took, err := work()
	if err != nil {
		return err
	}
	grant.Settle(ctx, l.words, int64(took))
	grant.Done()
	return nil
}

// keep runs work, which stores a document of so many bytes. Nothing is counted if it
// fails.
func (l *limits) keep(ctx context.Context, bytes int, work func() error) error {
	grant, err := l.claim(ctx, quota.Claim{Limit: l.documents, N: 1}, quota.Claim{Limit: l.storage, N: int64(bytes)})
	if err != nil {
		return err
	}
	defer grant.Cancel(context.WithoutCancel(ctx))
	if err := work(); err != nil {
		return err
	}
	grant.Done()
	return nil
}

// release gives back what a document took that is gone.
func (l *limits) release(ctx context.Context, bytes int64) error {
	if l.enforcer == nil {
		return nil
	}
	account, err := l.enforcer.Account(ctx)
	if err != nil {
		return err
	}
	account.Release(ctx, l.documents, 1)
	account.Release(ctx, l.storage, bytes)
	return nil
}

// size is the SQL of what a document takes of LimitStorage.
const size = `OCTET_LENGTH(title) + OCTET_LENGTH(body)`

// Levels measures what a tenant keeps, for [quota.WithLevels]. As all of the package it
// reads the tables of the context's tenant.
func Levels(db *sql.DB) func(ctx context.Context, id tenant.ID, limit string) (int64, error) {
	return func(ctx context.Context, _ tenant.ID, limit string) (int64, error) {
		query := map[string]string{
			LimitDocuments: `SELECT COUNT(*) FROM documents`,
			LimitStorage:   `SELECT COALESCE(SUM(` + size + `), 0) FROM documents`,
		}[limit]
		if query == "" {
			return 0, fmt.Errorf("workspace: nobody knows what is kept of %q", limit)
		}
		return one(ctx, db, func(r row) (n int64, err error) { return n, r.Scan(&n) }, query)
	}
}
