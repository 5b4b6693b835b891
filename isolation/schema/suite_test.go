package schema_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestStrategy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	runSuite(t, f, f.strategy(t, suiteOptions(f)...), 0, 1)
	require.NoError(t, f.strategy(t).Verify(t.Context()))
}

func TestStrategyWithoutSetConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	runSuite(t, f, f.strategy(t, append(suiteOptions(f), schema.RevokeSetConfig())...), 0, 3)
}

func TestStrategyWithLoginRoles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t, append(suiteOptions(f), f.loginRoles())...)
	runSuite(t, f, s, 2, 3)
	require.NoError(t, s.Verify(t.Context()))
}

func suiteOptions(f *fixture) []schema.Option {
	return []schema.Option{
		schema.Migrations(isolationtest.OwnTables(isolationtest.Postgres)),
		schema.System(f.admin),
	}
}

// runSuite runs the suite, or by default one of parts of it, of which others run the
// rest.
func runSuite(t *testing.T, f *fixture, s *schema.Strategy, part, parts int) {
	t.Helper()
	if thorough.On() {
		part, parts = 0, 1
	}
	isolationtest.TestPart(t, part, parts, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		target, err := f.target(s, opts...)
		require.NoError(t, err)
		return target
	})
}

func (f *fixture) target(s *schema.Strategy, opts ...isolation.Option) (isolationtest.Target, error) {
	pool, err := isolation.New(s, opts...)
	return isolationtest.Target{
		Pool:        pool,
		Provision:   func(ctx context.Context, t tenant.Tenant) error { return s.Provision(f.kept.Keep(ctx), t) },
		Deprovision: func(ctx context.Context, t tenant.Tenant) error { return s.Deprovision(f.kept.Keep(ctx), t) },
		System:      true,
		CopyIn:      true,
		Limits:      true,
		Size:        s.Size,
		Qualified: func(g tenant.Tenant, table string) string {
			return pghome.Quote(pghome.Name("t_", g.ID)) + "." + pghome.Quote(table)
		},
		Kill: f.kill,
	}, err
}

// kill ends the sessions of all but the test's own.
func (f *fixture) kill(ctx context.Context) error {
	_, err := f.root.ExecContext(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE datname = current_database() AND usename IS DISTINCT FROM current_user`)
	return err
}

// bouncerPool is fewer than the suite has workers, so each session serves many
// tenants.
const bouncerPool = 3

func TestThroughPgBouncer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := pooledStrategy(t, f)
	runSuite(t, f, s, 1, 3)
	require.NoError(t, s.Verify(t.Context()))
}

// TestThroughPgBouncerWithoutSetConfig runs the clauses that set_config has a part in.
func TestThroughPgBouncerWithoutSetConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := pooledStrategy(t, f, schema.RevokeSetConfig())
	findings := isolationtest.Check(t.Context(), func(opts ...isolation.Option) (isolationtest.Target, error) {
		return f.target(s, opts...)
	},
		"reads see the tenant's rows and no others", "writes reach the tenant's rows and no others", "another tenant's tables cannot be named",
		"session settings do not reach the next tenant", "tenants that alternate on one connection stay apart",
		"a statement that fails right after a switch does not undo it", "a transaction rolled back right after a switch does not undo it",
		"savepoints roll back inside the tenant's transaction", "several statements in one text stay inside the tenant",
		"a tenant's limits are on its session and not on the next tenant's", "limits of many tenants stay apart",
	)
	require.Empty(t, findings)
	require.NoError(t, s.Verify(t.Context()))
}

// pooledStrategy is one with a PgBouncer between its connections and the server.
func pooledStrategy(t *testing.T, f *fixture, opts ...schema.Option) *schema.Strategy {
	t.Helper()
	// So that closing a connection ends what runs on it.
	_, err := f.root.ExecContext(t.Context(), `ALTER ROLE `+f.login+` SET client_connection_check_interval = '100ms'`)
	require.NoError(t, err)
	bouncer := f.Bouncer(t, "transaction", bouncerPool, f.login, "secret")
	pooled, err := postgres.NewConnector(bouncer.URL(), postgres.BehindPooler(), postgres.CloseToCancel())
	require.NoError(t, err)
	s, err := schema.New(pooled, append(append(suiteOptions(f), schema.Admin(f.admin), schema.TransactionScoped()), opts...)...)
	require.NoError(t, err)
	return s
}

func TestSessionModeRefusesAPooler(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bouncer := f.Bouncer(t, "transaction", bouncerPool, f.login, "secret")
	pooled, err := postgres.NewConnector(bouncer.URL(), postgres.BehindPooler(), postgres.CloseToCancel())
	require.NoError(t, err)
	s, err := schema.New(pooled, append(suiteOptions(f), schema.Admin(f.admin))...)
	require.NoError(t, err)
	acme := tenant.Tenant{ID: "acme"}
	require.NoError(t, s.Provision(t.Context(), acme))
	db := open(t, s)
	_, err = db.ExecContext(tenant.NewContext(t.Context(), acme), `SELECT 1`)
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	require.ErrorContains(t, err, "TransactionScoped")
}

func TestTransactionScopedExcludesLoginRoles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := schema.New(f.app, schema.TransactionScoped(), f.loginRoles())
	require.ErrorContains(t, err, "choose one of them")
}
