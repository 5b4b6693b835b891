package workspace_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/model"
	"github.com/tenancy-go/tenancy/examples/saas/workspace"
	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// open returns a workspace on SQLite files, and contexts of two tenants.
func open(t testing.TB, now func() time.Time) (work *workspace.Workspace, acme, globex context.Context) {
	t.Helper()
	strategy, err := sqlitefile.New(t.TempDir(), sqlitefile.Migrations(workspace.OwnTables()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, strategy.Close()) })
	pool, err := isolation.New(strategy)
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	contexts := make([]context.Context, 2)
	for i, id := range []tenant.ID{"acme", "globex"} {
		require.NoError(t, strategy.Provision(t.Context(), tenant.Tenant{ID: id}))
		contexts[i] = tenant.NewContext(t.Context(), tenant.Tenant{ID: id})
	}
	return workspace.New(db, model.Default(), now), contexts[0], contexts[1]
}

func atNoon() time.Time { return noon }

func TestNothingWithoutATenant(t *testing.T) {
	t.Parallel()
	work, _, _ := open(t, atNoon)
	_, err := work.Conversations(t.Context(), 10)
	require.ErrorIs(t, err, tenant.ErrNoTenant)
	_, err = work.AddDocument(t.Context(), "title", "text")
	require.ErrorIs(t, err, tenant.ErrNoTenant)
}

func TestConversation(t *testing.T) {
	t.Parallel()
	work, acme, globex := open(t, atNoon)
	c, err := work.Start(acme, "echo", "  First question of a long morning, with more words than fit into a title\r\nand a second line ")
	require.NoError(t, err)
	assert.Equal(t, "First question of a long morning, with more words than fit…", c.Title)
	reply, err := work.Prompt(acme, c.ID, "summarise", "Second.")
	require.NoError(t, err)
	assert.Equal(t, "Second.", reply)

	got, err := work.Conversation(acme, c.ID)
	require.NoError(t, err)
	assert.Equal(t, workspace.Conversation{ID: c.ID, Title: c.Title, Model: "summarise", Messages: 4, CreatedAt: noon, UpdatedAt: noon}, got)
	thread, err := work.Messages(acme, c.ID)
	require.NoError(t, err)
	require.Len(t, thread, 4)
	assert.Equal(t, workspace.Message{Role: model.User, Model: "summarise", Text: "Second.", CreatedAt: noon}, thread[2])
	assert.Equal(t, workspace.Message{Role: model.Assistant, Model: "summarise", Text: "Second.", CreatedAt: noon}, thread[3])
	assert.NotContains(t, thread[0].Text, "\r")

	_, err = work.Prompt(globex, c.ID, "echo", "mine?")
	require.ErrorIs(t, err, workspace.ErrNotFound)
	require.ErrorIs(t, work.DeleteConversation(globex, c.ID), workspace.ErrNotFound)
	require.NoError(t, work.DeleteConversation(acme, c.ID))
	thread, err = work.Messages(acme, c.ID)
	require.NoError(t, err)
	assert.Empty(t, thread, "messages go with their conversation")
}

func TestPromptsAtOnceKeepTheirOrder(t *testing.T) {
	t.Parallel()
	work, acme, _ := open(t, atNoon)
	c, err := work.Start(acme, "echo", "begin")
	require.NoError(t, err)
	const prompts = 10
	var all sync.WaitGroup
	for i := range prompts {
		all.Go(func() {
			_, err := work.Prompt(acme, c.ID, "echo", fmt.Sprint("prompt ", i))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	thread, err := work.Messages(acme, c.ID)
	require.NoError(t, err)
	require.Len(t, thread, 2+2*prompts)
	for i := 0; i < len(thread); i += 2 {
		assert.Equal(t, thread[i].Text, thread[i+1].Text, "each reply follows its prompt")
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	work, acme, globex := open(t, atNoon)
	d, err := work.AddDocument(acme, "Notes", "One two three.")
	require.NoError(t, err)
	require.NoError(t, work.SummariseDocument(acme, d.ID))
	got, err := work.Document(acme, d.ID)
	require.NoError(t, err)
	assert.Equal(t, workspace.Document{ID: d.ID, Title: "Notes", Text: "One two three.", Summary: "One two three.", Words: 3, CreatedAt: noon}, got)

	listed, err := work.Documents(globex, 10)
	require.NoError(t, err)
	assert.Empty(t, listed)
	require.ErrorIs(t, work.SummariseDocument(globex, d.ID), workspace.ErrNotFound)
	require.ErrorIs(t, work.DeleteDocument(globex, d.ID), workspace.ErrNotFound)
	require.NoError(t, work.DeleteDocument(acme, d.ID))
	require.ErrorIs(t, work.DeleteDocument(acme, d.ID), workspace.ErrNotFound)
}

func TestInputIsRefused(t *testing.T) {
	t.Parallel()
	work, acme, _ := open(t, atNoon)
	tests := []struct {
		name, field string
		do          func() error
	}{
		{"no prompt", "text", func() error { _, err := work.Start(acme, "echo", " \n "); return err }},
		{"long prompt", "text", func() error {
			_, err := work.Start(acme, "echo", strings.Repeat("ä", workspace.MaxPrompt+1))
			return err
		}},
		{"unknown model", "model", func() error { _, err := work.Start(acme, "oracle", "hello"); return err }},
		{"no UTF-8", "text", func() error { _, err := work.AddDocument(acme, "t", "\xff"); return err }},
		{"zero byte", "title", func() error { _, err := work.AddDocument(acme, "a\x00", "text"); return err }},
		{"long title", "title", func() error {
			_, err := work.AddDocument(acme, strings.Repeat("a", workspace.MaxTitle+1), "text")
			return err
		}},
	}
	for _, tt := range tests {
		var invalid *workspace.InputError
		require.ErrorAs(t, tt.do(), &invalid, tt.name)
		assert.Equal(t, tt.field, invalid.Field, tt.name)
	}
	used, err := work.Usage(acme, 1)
	require.NoError(t, err)
	assert.Zero(t, used.Total, "what is refused is not counted")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	clock := noon.AddDate(0, 0, -2)
	work, acme, globex := open(t, func() time.Time { return clock })
	_, err := work.Start(acme, "echo", "one two")
	require.NoError(t, err)
	clock = noon
	d, err := work.AddDocument(acme, "Notes", "One two three.")
	require.NoError(t, err)
	require.NoError(t, work.SummariseDocument(acme, d.ID))
	require.NoError(t, work.DeleteDocument(acme, d.ID))
	_, err = work.Start(globex, "echo", "not acme's")
	require.NoError(t, err)

	got, err := work.Usage(acme, 3)
	require.NoError(t, err)
	today := noon.Truncate(24 * time.Hour)
	echo := workspace.Count{Prompts: 1, WordsIn: 2, WordsOut: 2}
	summarise := workspace.Count{Summaries: 1, WordsIn: 3, WordsOut: 3}
	assert.Equal(t, workspace.Usage{
		Total: workspace.Count{Prompts: 1, Summaries: 1, Documents: 1, WordsIn: 8, WordsOut: 5},
		Days: []workspace.DayCount{
			{Day: today.AddDate(0, 0, -2), Count: echo},
			{Day: today.AddDate(0, 0, -1)},
			{Day: today, Count: workspace.Count{Summaries: 1, Documents: 1, WordsIn: 6, WordsOut: 3}},
		},
		Models: []workspace.ModelCount{{Model: "echo", Count: echo}, {Model: "summarise", Count: summarise}},
	}, got)

	short, err := work.Usage(acme, 1)
	require.NoError(t, err)
	assert.Zero(t, short.Total.Prompts, "older days are left out")
}

// TestSchemasAgree checks that shared tables differ from a tenant's own by the tenant
// alone.
func TestSchemasAgree(t *testing.T) {
	t.Parallel()
	own, shared := columns(t, "own"), columns(t, "shared")
	require.NotEmpty(t, own)
	for _, table := range workspace.Tables() {
		assert.Equal(t, append([]string{"tenant_id TEXT 1"}, own[table]...), shared[table], table)
	}
	assert.Len(t, own, len(workspace.Tables()))
}

func columns(t *testing.T, kind string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", t.TempDir()+"/schema.db")
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	files := workspace.OwnTables()
	if kind == "shared" {
		files = workspace.SharedTables()
	}
	require.NoError(t, sqlkit.Migrate(t.Context(), db, sqlkit.SQLite, files, "version"))
	rows, err := db.QueryContext(t.Context(), `SELECT m.name, c.name || ' ' || c.type || ' ' || c."notnull" FROM sqlite_master m, pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name <> 'version' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid`)
	require.NoError(t, err)
	defer func() { assert.NoError(t, rows.Close()) }()
	found := make(map[string][]string)
	for rows.Next() {
		var table, column string
		require.NoError(t, rows.Scan(&table, &column))
		found[table] = append(found[table], column)
	}
	require.NoError(t, rows.Err())
	return found
}

func BenchmarkPrompt(b *testing.B) {
	work, acme, _ := open(b, time.Now)
	c, err := work.Start(acme, "echo", "begin")
	require.NoError(b, err)
	for b.Loop() {
		if _, err := work.Prompt(acme, c.ID, "echo", "hello"); err != nil {
			b.Fatal(err)
		}
	}
}
