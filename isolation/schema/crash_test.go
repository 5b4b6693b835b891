package schema_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghometest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
)

// fused returns a strategy whose administrative connections die after so many
// messages.
func (f *fixture) fused(t testing.TB, fuse *pghometest.Fuse) *schema.Strategy {
	t.Helper()
	admin, err := postgres.NewConnector(f.URL(), postgres.Dial(fuse.Dial))
	require.NoError(t, err)
	return f.strategy(t, schema.Admin(admin))
}

// TestProvisionSurvivesDeathAtEachStep kills a process that provisions, at each of
// its messages to the server. Whatever is left is not routable or whole, and the
// next call makes a whole home of it.
func TestProvisionSurvivesDeathAtEachStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	require.NoError(t, s.Prepare(t.Context()))
	pool, err := isolation.New(f.strategy(t))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	defer func() { require.NoError(t, db.Close()) }()
	ctx := in(t.Context(), "acme")

	stride := 1
	if testing.Short() {
		stride = 7
	}
	for step, blown := 1, true; blown; step += stride {
		fuse := pghometest.NewFuse(step, nil)
		err := f.fused(t, fuse).Provision(t.Context(), tenantOf("acme"))
		if blown = fuse.Blown(); !blown {
			require.NoError(t, err)
			t.Logf("provisioning takes %d messages", fuse.Sent())
		}
		requireWholeOrAbsent(t, ctx, db)
		require.NoError(t, s.Provision(t.Context(), tenantOf("acme")), "after step %d", step)
		requireWhole(t, ctx, db)
		pool.Forget("acme")
		require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
		requireNothingLeft(t, f)
	}
}

// TestDeprovisionSurvivesDeathAtEachStep does the same to the removal.
func TestDeprovisionSurvivesDeathAtEachStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	pool, err := isolation.New(f.strategy(t))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	defer func() { require.NoError(t, db.Close()) }()
	ctx := in(t.Context(), "acme")

	for step, blown := 1, true; blown; step += 3 {
		require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
		fuse := pghometest.NewFuse(step, nil)
		err := f.fused(t, fuse).Deprovision(t.Context(), tenantOf("acme"))
		if blown = fuse.Blown(); !blown {
			require.NoError(t, err)
		}
		requireWholeOrAbsent(t, ctx, db)
		pool.Forget("acme")
		require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")), "after step %d", step)
		requireNothingLeft(t, f)
	}
}

// TestProvisionSurvivesACrashOfTheServer kills the server itself half-way.
func TestProvisionSurvivesACrashOfTheServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	f := fixtureOn(t, server.Open(t))
	s := f.strategy(t)
	require.NoError(t, s.Prepare(t.Context()))
	messages := pghometest.NewFuse(1<<20, nil)
	require.NoError(t, f.fused(t, messages).Provision(t.Context(), tenantOf("other")))
	ctx := in(t.Context(), "acme")

	for _, percent := range []int{50, 70, 90} {
		fuse := pghometest.NewFuse(messages.Sent()*percent/100, server.Kill)
		require.Error(t, f.fused(t, fuse).Provision(t.Context(), tenantOf("acme")))
		server.Start()
		db := open(t, f.strategy(t))
		requireWholeOrAbsent(t, ctx, db)
		require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
		requireWhole(t, ctx, db)
		require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
	}
	requireWhole(t, in(t.Context(), "other"), open(t, s))
}

func requireWholeOrAbsent(t testing.TB, ctx context.Context, db *sql.DB) { //nolint:revive // t first, as in testify
	t.Helper()
	if _, err := db.ExecContext(ctx, `SELECT 1`); err != nil {
		require.ErrorIs(t, err, isolation.ErrNotProvisioned)
		return
	}
	requireWhole(t, ctx, db)
}

func requireWhole(t testing.TB, ctx context.Context, db *sql.DB) { //nolint:revive // t first, as in testify
	t.Helper()
	for _, query := range []string{
		`INSERT INTO orders (item) VALUES ('x')`, `SELECT item FROM items`, `SELECT nextval('numbers')`, `SELECT spy('orders')`,
	} {
		_, err := db.ExecContext(ctx, query)
		require.NoError(t, err, query)
	}
}

func requireNothingLeft(t testing.TB, f *fixture) {
	t.Helper()
	ctx := t.Context()
	assert.Zero(t, one[int](t, ctx, f.root, `SELECT count(*) FROM tenancy.homes`))
	assert.Zero(t, one[int](t, ctx, f.root, `SELECT count(*) FROM pg_namespace WHERE nspname = 't_acme'`))
	assert.Zero(t, one[int](t, ctx, f.root, `SELECT count(*) FROM pg_roles WHERE rolname LIKE
		't\_acme\_' || (SELECT oid FROM pg_database WHERE datname = current_database()) || '%'`))
}
