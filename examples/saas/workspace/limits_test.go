package workspace_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/model"
	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

const plans = `{"version": 1, "default": "free", "plans": {"free": {
	"limits": {"words": {"windows": {"day": 20}}, "documents": {"kind": "stock", "max": 2}, "storage": {"kind": "stock", "max": 20}},
	"resources": {"models": {"allow": ["echo", "summarise", "broken"]}}}}}`

// broken is a model that fails.
type broken struct{ model.Echo }

func (broken) Name() string { return "broken" }

func (broken) Reply(context.Context, []model.Turn) (string, error) { return "", model.ErrNothingSaid }

// openLimited is open with limits. The tenant has a document from before.
func openLimited(t *testing.T) (*workspace.Workspace, *quota.Enforcer, context.Context) {
	t.Helper()
	strategy, err := sqlitefile.New(t.TempDir(), sqlitefile.Migrations(workspace.OwnTables()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, strategy.Close()) })
	pool, err := isolation.New(strategy)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	require.NoError(t, strategy.Provision(t.Context(), tenant.Tenant{ID: "acme"}))
	acme := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme"})
	_, err = workspace.New(db, model.Default(), time.Now).AddDocument(acme, "öld", "text")
	require.NoError(t, err)

	catalog, err := quota.ParseCatalog([]byte(plans))
	require.NoError(t, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog), quota.WithLevels(workspace.Levels(db)))
	require.NoError(t, err)
	return workspace.New(db, append(model.Default(), broken{}), time.Now, workspace.WithLimits(enforcer)), enforcer, acme
}

// used returns what was used of each limit.
func used(t *testing.T, e *quota.Enforcer, ctx context.Context) map[string]int64 {
	t.Helper()
	account, err := e.Account(ctx)
	require.NoError(t, err)
	all := make(map[string]int64)
	limits, err := account.Usage(ctx)
	require.NoError(t, err)
	for _, u := range limits {
		all[u.Limit] = u.Used
		for _, w := range u.Windows {
			all[u.Limit] = w.Used
		}
	}
	return all
}

func TestWordsAreChargedOnce(t *testing.T) {
	t.Parallel()
	work, enforcer, acme := openLimited(t)
	const text = "Rain fell. Teams plan budgets. Cats sleep."
	_, err := work.Start(acme, "summarise", text)
	require.NoError(t, err)
	took := int64(model.Words(text) + model.Words(model.Summary(text)))
	assert.Equal(t, took, used(t, enforcer, acme)["words"], "what it took, not what was claimed")

	for _, refused := range []struct{ model, text string }{
		{"echo", strings.Repeat("word ", 10)}, // more than is left
		{"echo", strings.Repeat("word ", 11)}, // more than there ever is
		{"outline", "short"},                  // not in the plan
	} {
		var denied *quota.Error
		_, err := work.Start(acme, refused.model, refused.text)
		require.ErrorAs(t, err, &denied, refused.text)
	}
	_, err = work.Start(acme, "broken", "hello")
	require.ErrorIs(t, err, model.ErrNothingSaid)
	assert.Equal(t, took, used(t, enforcer, acme)["words"], "nothing for what was refused or failed")
	all, err := work.Conversations(acme, 10)
	require.NoError(t, err)
	assert.Len(t, all, 1)
}

func TestDocumentsTakeRoomUntilTheyAreDeleted(t *testing.T) {
	t.Parallel()
	work, enforcer, acme := openLimited(t)
	assert.Equal(t, map[string]int64{"documents": 1, "storage": 8, "words": 0}, used(t, enforcer, acme), "what was kept before counts")
	_, err := work.AddDocument(acme, "long", strings.Repeat("a", 9))
	require.ErrorIs(t, err, quota.ErrExceeded)
	d, err := work.AddDocument(acme, "new", "text")
	require.NoError(t, err)
	assert.Equal(t, map[string]int64{"documents": 2, "storage": 15, "words": 0}, used(t, enforcer, acme))
	_, err = work.AddDocument(acme, "a", "b")
	require.ErrorIs(t, err, quota.ErrExceeded, "no third")

	require.NoError(t, work.DeleteDocument(acme, d.ID))
	require.ErrorIs(t, work.DeleteDocument(acme, d.ID), workspace.ErrNotFound)
	assert.Equal(t, map[string]int64{"documents": 1, "storage": 8, "words": 0}, used(t, enforcer, acme), "given back once")

	gone, cancel := context.WithCancel(acme)
	cancel()
	_, err = work.AddDocument(gone, "new", "text")
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, map[string]int64{"documents": 1, "storage": 8, "words": 0}, used(t, enforcer, acme), "nothing for what failed")
}
