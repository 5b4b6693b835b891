package sqlitefile_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/tenant"

	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
)

func TestStrategy(t *testing.T) {
	s := openIn(t, memoryDir(t), sqlitefile.Migrations(isolationtest.OwnTables(isolationtest.SQLite)))
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		pool, err := isolation.New(s, opts...)
		require.NoError(t, err)
		return isolationtest.Target{
			Pool:        pool,
			Provision:   s.Provision,
			Deprovision: s.Deprovision,
			Dialect:     isolationtest.SQLite,
			Size:        s.Size,
		}
	})
}

// memoryDir returns a directory on a file system in memory, where there is one: the
// suite opens and closes files by the thousand, and each close waits for the disk.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "sqlitefile") //nolint:usetesting // t.TempDir is on disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// TestManyTenants has a thousand tenants share fifty connections.
func TestManyTenants(t *testing.T) {
	t.Parallel()
	const tenants, conns, rounds = 1000, 50, 2
	s, _ := open(t)
	db, pool := pooled(t, s, isolation.MaxConns(conns))
	ready := make([]chan struct{}, tenants)
	for i := range ready {
		ready[i] = make(chan struct{})
	}
	var group errgroup.Group
	group.SetLimit(64)
	for i := range tenants * rounds {
		who := tenant.Tenant{ID: tenant.ID(fmt.Sprint("t", i%tenants))}
		group.Go(func() error {
			if i < tenants {
				if err := s.Provision(t.Context(), who); err != nil {
					return err
				}
				close(ready[i])
			}
			<-ready[i%tenants]
			ctx := in(t, who)
			if _, err := db.ExecContext(ctx, `INSERT INTO customer (name) VALUES (?)`, who.ID); err != nil {
				return err
			}
			var foreign int
			if err := db.QueryRowContext(ctx, `SELECT count(*) FROM customer WHERE name <> ?`, who.ID).Scan(&foreign); err != nil {
				return err
			}
			if foreign != 0 {
				return fmt.Errorf("tenant %s saw %d rows of others", who.ID, foreign)
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	stats := pool.Stats()
	assert.LessOrEqual(t, stats.Open, conns)
	assert.GreaterOrEqual(t, stats.Opened, int64(tenants))
	for i := range 20 {
		who := tenant.Tenant{ID: tenant.ID(fmt.Sprint("t", i*50))}
		assert.Equal(t, rounds, count(t, db, who, `SELECT count(*) FROM customer`))
	}
}
