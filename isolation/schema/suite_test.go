package schema_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/schema"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestStrategy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	runSuite(t, f, f.strategy(t, suiteOptions(f)...))
	require.NoError(t, f.strategy(t).Verify(t.Context()))
}

func TestStrategyWithoutSetConfig(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	runSuite(t, f, f.strategy(t, append(suiteOptions(f), schema.RevokeSetConfig())...))
}

func TestStrategyWithLoginRoles(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.strategy(t, append(suiteOptions(f), f.loginRoles())...)
	runSuite(t, f, s)
	require.NoError(t, s.Verify(t.Context()))
}

func suiteOptions(f *fixture) []schema.Option {
	return []schema.Option{
		schema.Migrations(isolationtest.OwnTables(isolationtest.Postgres)),
		schema.System(f.admin),
	}
}

func runSuite(t *testing.T, f *fixture, s *schema.Strategy) {
	t.Helper()
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		pool, err := isolation.New(s, opts...)
		require.NoError(t, err)
		return isolationtest.Target{
			Pool:        pool,
			Provision:   s.Provision,
			Deprovision: s.Deprovision,
			System:      true,
			CopyIn:      true,
			Qualified: func(g tenant.Tenant, table string) string {
				return pghome.Quote(pghome.Name("t_", g.ID)) + "." + pghome.Quote(table)
			},
			Kill: f.kill,
		}
	})
}

// kill ends the sessions of all but the test's own.
func (f *fixture) kill(ctx context.Context) error {
	_, err := f.root.ExecContext(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE datname = current_database() AND usename IS DISTINCT FROM current_user`)
	return err
}
