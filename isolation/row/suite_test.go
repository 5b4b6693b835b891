package row_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/thorough"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
	"github.com/tenancy-go/tenancy/isolation/row"
)

func TestStrategy(t *testing.T) {
	t.Parallel()
	t.Run("text", func(t *testing.T) { runSuite(t, isolationtest.SharedTables(), 0, 1) })
	t.Run("uuid", func(t *testing.T) { runSuite(t, isolationtest.SharedUUIDTables(), 1, 2) })
}

func runSuite(t *testing.T, migrations fs.FS, part, parts int) {
	t.Parallel()
	f := open(t, `CREATE ROLE $app_system LOGIN BYPASSRLS PASSWORD '`+password+`'`)
	s := f.strategy(t, row.Migrations(migrations), row.System(f.connector(t, f.db.As(f.role+"_system", password))))
	require.NoError(t, s.Migrate(t.Context(), acme))
	f.exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $app_system`)

	runPart(t, part, parts, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		pool, err := isolation.New(s, opts...)
		require.NoError(t, err)
		provision, deprovision := f.provisioner(s)
		return isolationtest.Target{
			Pool:        pool,
			Provision:   provision,
			Deprovision: deprovision,
			Shared:      true,
			System:      true,
			CopyIn:      true,
			Limits:      true,
			Size:        s.Size,
			Kill:        func(ctx context.Context) error { return kill(ctx, f.admin, f.role) },
		}
	})
}

// kill ends the sessions that role has now, and returns once they are gone.
func kill(ctx context.Context, admin *sql.DB, role string) error {
	var pids pq.Int64Array
	err := admin.QueryRowContext(ctx, `SELECT array_agg(pid) FROM pg_stat_activity WHERE usename = $1`, role).Scan(&pids)
	if err != nil {
		return fmt.Errorf("find sessions: %w", err)
	}
	if _, err := admin.ExecContext(ctx, `SELECT pg_terminate_backend(pid::int, 10000) FROM unnest($1::bigint[]) AS p(pid)`, pids); err != nil {
		return fmt.Errorf("terminate: %w", err)
	}
	var left int
	err = admin.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1::bigint[]) AND usename = $2`, pids, role).Scan(&left)
	if err == nil && left > 0 {
		err = fmt.Errorf("%d sessions outlived their termination", left)
	}
	return err
}

// workers of the suite are more than these sessions, so each serves all tenants.
const bouncerPool = 3

// TestThroughPgBouncer has a pooler in transaction mode between all statements and
// the server.
func TestThroughPgBouncer(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) { throughPgBouncer(t, 0, row.Plain()) })
	t.Run("signed", func(t *testing.T) { throughPgBouncer(t, 1, row.Signed(newKey(t, "k1"))) })
}

// runPart runs the suite, or by default one of parts of it; others run the rest.
func runPart(t *testing.T, part, parts int, open func(t *testing.T, opts ...isolation.Option) isolationtest.Target) {
	t.Helper()
	if thorough.On() {
		part, parts = 0, 1
	}
	isolationtest.TestPart(t, part, parts, open)
}

func throughPgBouncer(t *testing.T, part int, mode row.Option) {
	t.Parallel()
	f := open(t, `CREATE ROLE $app_system LOGIN BYPASSRLS PASSWORD '`+password+`';
		ALTER ROLE $app SET client_connection_check_interval = '100ms'`) // so that closing a connection ends what runs on it
	bouncer := f.db.Bouncer(t, "transaction", bouncerPool, f.role, password)
	connector, err := postgres.NewConnector(bouncer.URL(), postgres.BehindPooler(), postgres.CloseToCancel())
	require.NoError(t, err)
	s, err := row.New(connector, mode, row.TransactionScoped(), row.Migrations(isolationtest.SharedTables()),
		row.Admin(f.connector(t, f.db.URL())), row.System(f.connector(t, f.db.As(f.role+"_system", password))))
	require.NoError(t, err)
	require.NoError(t, s.Prepare(t.Context()))
	f.exec(t, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO $app_system`)

	runPart(t, part, 2, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		pool, err := isolation.New(s, opts...)
		require.NoError(t, err)
		provision, deprovision := f.provisioner(s)
		return isolationtest.Target{
			Pool:        pool,
			Provision:   provision,
			Deprovision: deprovision,
			Shared:      true,
			System:      true,
			Limits:      true,
			Size:        s.Size,
			Kill:        func(ctx context.Context) error { return kill(ctx, f.admin, f.role) },
		}
	})
}
