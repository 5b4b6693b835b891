package orms

import (
	"context"
	"database/sql"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// The tables. In row mode they are shared, and only the migration and the
// policies know of tenant_id; in schema mode nothing does.
const (
	sharedTables = `-- +goose Up
CREATE TABLE notes (
	tenant_id text NOT NULL,
	id bigint NOT NULL,
	body text NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
CREATE TABLE comments (
	tenant_id text NOT NULL,
	id bigint NOT NULL,
	note_id bigint NOT NULL,
	body text NOT NULL,
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, note_id) REFERENCES notes
);
`
	ownTables = `-- +goose Up
CREATE TABLE notes (
	id bigint PRIMARY KEY,
	body text NOT NULL
);
CREATE TABLE comments (
	id bigint PRIMARY KEY,
	note_id bigint NOT NULL REFERENCES notes,
	body text NOT NULL
);
`
)

func migrations(text string) fstest.MapFS {
	return fstest.MapFS{"00001_tables.sql": &fstest.MapFile{Data: []byte(text)}}
}

var acme, globex = tenant.Tenant{ID: "acme"}, tenant.Tenant{ID: "globex"}

// world is a database of two tenants. Both have notes 1 and 2 and a comment on
// the first, under the same keys, with their own name in every text.
type world struct {
	db           *sql.DB
	acme, globex context.Context
}

// inEachMode runs a test in row and in schema mode.
func inEachMode(t *testing.T, test func(t *testing.T, w world)) {
	t.Helper()
	for mode, open := range map[string]func(*testing.T, *postgres.Connector, *postgres.Connector) strategy{
		"row": openRow, "schema": openSchema,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			runtime, admin := connectors(t)
			test(t, newWorld(t, open(t, runtime, admin)))
		})
	}
}

type strategy interface {
	isolation.Strategy
	isolation.Provisioner
}

func openRow(t *testing.T, runtime, admin *postgres.Connector) strategy {
	t.Helper()
	s, err := row.New(runtime, row.Admin(admin), row.Tables("notes", "comments"), row.Migrations(migrations(sharedTables)))
	require.NoError(t, err)
	require.NoError(t, s.Prepare(t.Context()))
	return s
}

func openSchema(t *testing.T, runtime, admin *postgres.Connector) strategy {
	t.Helper()
	s, err := schema.New(runtime, schema.Admin(admin), schema.Migrations(migrations(ownTables)))
	require.NoError(t, err)
	return s
}

// connectors returns the connectors of a runtime role without special rights, and
// of the administrator.
func connectors(t *testing.T) (runtime, admin *postgres.Connector) {
	t.Helper()
	pg := pgtest.Open(t)
	admin, err := postgres.NewConnector(pg.URL())
	require.NoError(t, err)
	db := sql.OpenDB(admin)
	defer db.Close()
	role := pgtest.Name(t, "app")
	require.NoError(t, postgres.EnsureRole(t.Context(), db, role, "secret"))
	runtime, err = postgres.NewConnector(pg.As(role, "secret"))
	require.NoError(t, err)
	return runtime, admin
}

func newWorld(t *testing.T, s strategy) world {
	t.Helper()
	pool, err := isolation.New(s, isolation.MaxConns(4))
	require.NoError(t, err)
	w := world{
		db:     sql.OpenDB(pool),
		acme:   tenant.NewContext(t.Context(), acme),
		globex: tenant.NewContext(t.Context(), globex),
	}
	t.Cleanup(func() { assert.NoError(t, w.db.Close()) })
	for _, id := range []tenant.Tenant{acme, globex} {
		require.NoError(t, s.Provision(t.Context(), id))
		ctx := tenant.NewContext(t.Context(), id)
		_, err := w.db.ExecContext(ctx, `INSERT INTO notes (id, body) VALUES (1, $1), (2, $1)`, string(id.ID))
		require.NoError(t, err)
		_, err = w.db.ExecContext(ctx, `INSERT INTO comments (id, note_id, body) VALUES (1, 1, $1)`, string(id.ID))
		require.NoError(t, err)
	}
	return w
}

// bodies returns the texts of a tenant's notes, in order of their keys, read
// without any ORM.
func (w world) bodies(t *testing.T, ctx context.Context) []string {
	t.Helper()
	return w.strings(t, ctx, `SELECT body FROM notes ORDER BY id`)
}

func (w world) strings(t *testing.T, ctx context.Context, query string, args ...any) []string {
	t.Helper()
	rows, err := w.db.QueryContext(ctx, query, args...)
	require.NoError(t, err)
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		all = append(all, s)
	}
	require.NoError(t, rows.Err())
	return all
}

// globexUntouched checks that nothing of globex's changed.
func (w world) globexUntouched(t *testing.T) {
	t.Helper()
	assert.Equal(t, []string{"globex", "globex"}, w.bodies(t, w.globex))
	assert.Equal(t, []string{"globex"}, w.strings(t, w.globex, `SELECT body FROM comments`))
}

// isRefused checks that an operation without a tenant was refused.
func isRefused(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, tenant.ErrNoTenant)
}
