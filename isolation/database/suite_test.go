package database_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestStrategy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	s := f.migrating(t, isolationtest.OwnTables(isolationtest.Postgres), database.System(f.admin))
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		pool, err := isolation.New(s, opts...)
		require.NoError(t, err)
		return isolationtest.Target{
			Pool:        pool,
			Provision:   func(ctx context.Context, t tenant.Tenant) error { return s.Provision(f.kept.Keep(ctx), t) },
			Deprovision: func(ctx context.Context, t tenant.Tenant) error { return s.Deprovision(f.kept.Keep(ctx), t) },
			System:      true,
			CopyIn:      true,
			Limits:      true,
			Size:        s.Size,
			Kill:        f.kill,
		}
	})
	require.NoError(t, s.Verify(t.Context()))
}

// kill ends the sessions of the login role.
func (f *fixture) kill(ctx context.Context) error {
	_, err := f.root.ExecContext(ctx, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = $1`, f.login)
	return err
}
