package database_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/internal/pghometest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// fused returns a strategy whose administrative connections die after so many
// messages.
func (f *fixture) fused(t testing.TB, fuse *pghometest.Fuse) *database.Strategy {
	t.Helper()
	admin, err := postgres.NewConnector(f.URL(), postgres.Dial(fuse.Dial))
	require.NoError(t, err)
	return f.strategy(t, database.Admin(admin))
}

// TestProvisionSurvivesDeathAtEachStep kills a process that provisions, at each of
// its messages to the server, with and without a template there. Whatever is left
// is not routable or whole, and the next call makes a whole home of it.
func TestProvisionSurvivesDeathAtEachStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		template bool
		stride   int
	}{{"with a template", true, 1}, {"without", false, 4}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			s := f.strategy(t)
			if testing.Short() {
				tt.stride *= 4
			}
			for step, blown := 1, true; blown; step += tt.stride {
				if tt.template {
					require.NoError(t, s.Provision(t.Context(), tenantOf("first")))
				} else {
					f.dropAll(t)
				}
				fuse := pghometest.NewFuse(step, nil)
				err := f.fused(t, fuse).Provision(t.Context(), tenantOf("acme"))
				if blown = fuse.Blown(); !blown {
					require.NoError(t, err)
					t.Logf("provisioning takes %d messages", fuse.Sent())
				}
				requireWholeOrAbsent(t, f)
				require.NoError(t, s.Provision(t.Context(), tenantOf("acme")), "after step %d", step)
				requireWhole(t, f)
				require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
				requireNothingLeft(t, f)
			}
		})
	}
}

// TestDeprovisionSurvivesDeathAtEachStep does the same to the removal.
func TestDeprovisionSurvivesDeathAtEachStep(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t)
	for step, blown := 1, true; blown; step++ {
		require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
		fuse := pghometest.NewFuse(step, nil)
		err := f.fused(t, fuse).Deprovision(t.Context(), tenantOf("acme"))
		if blown = fuse.Blown(); !blown {
			require.NoError(t, err)
		}
		requireWholeOrAbsent(t, f)
		if step%2 == 0 { // a removal that was begun is finished by whoever comes
			require.NoError(t, s.Provision(t.Context(), tenantOf("acme")), "after step %d", step)
			requireWhole(t, f)
		}
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
	require.NoError(t, s.Provision(t.Context(), tenantOf("other")))
	messages := pghometest.NewFuse(1<<20, nil)
	require.NoError(t, f.fused(t, messages).Provision(t.Context(), tenantOf("acme")))

	for _, before := range []int{6, 3, 1} {
		require.NoError(t, s.Deprovision(t.Context(), tenantOf("acme")))
		fuse := pghometest.NewFuse(messages.Sent()-before, server.Kill)
		_ = f.fused(t, fuse).Provision(t.Context(), tenantOf("acme")) // dies, or loses but its goodbye
		server.Start()
		requireWholeOrAbsent(t, f)
		require.NoError(t, s.Provision(t.Context(), tenantOf("acme")))
		requireWhole(t, f)
	}
}

// requireWholeOrAbsent fails unless tenant acme is served from a whole home, or
// refused.
func requireWholeOrAbsent(t testing.TB, f *fixture) {
	t.Helper()
	err := f.visit(t, `SELECT 1`)
	if err != nil {
		require.ErrorIs(t, err, isolation.ErrNotProvisioned)
		return
	}
	requireWhole(t, f)
}

func requireWhole(t testing.TB, f *fixture) {
	t.Helper()
	for _, query := range []string{
		`INSERT INTO orders (item) VALUES ('x')`, `SELECT item FROM orders`, `INSERT INTO ledger.entries VALUES (1)`,
	} {
		require.NoError(t, f.visit(t, query), query)
	}
}

// visit runs a query as tenant acme, through a pool of its own.
func (f *fixture) visit(t testing.TB, query string) error {
	t.Helper()
	pool, err := isolation.New(f.strategy(t))
	require.NoError(t, err)
	db := sql.OpenDB(pool)
	defer func() { require.NoError(t, db.Close()) }()
	_, err = db.ExecContext(in(t.Context(), "acme"), query)
	return err
}

func requireNothingLeft(t testing.TB, f *fixture) {
	t.Helper()
	for _, name := range f.databases(t, t.Context()) {
		assert.Contains(t, []string{f.prefix + "_template", f.prefix + "first"}, name)
	}
}
