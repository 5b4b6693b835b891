package isolationtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
)

// The suite has to pass what is right, or its findings mean nothing.

func TestRightRows(t *testing.T) {
	s := newServer(t)
	s.migrate(t, isolationtest.SharedTables(), policies...)
	rows := newRows(t, s)
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		return isolationtest.Target{
			Pool: pool(t, rows, opts...), Provision: rows.Provision, Deprovision: rows.Deprovision,
			Shared: true, CopyIn: true, Limits: true, Kill: s.kill,
		}
	})
}

func TestRightRowsWithSystem(t *testing.T) {
	s := newServer(t)
	s.migrate(t, isolationtest.SharedTables(), policies...)
	rows := newRows(t, s)
	rows.system = connector(t, s.db.URL())
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		return isolationtest.Target{
			Pool: pool(t, rows, opts...), Provision: rows.Provision, Deprovision: rows.Deprovision,
			Shared: true, System: true, CopyIn: true, Kill: s.kill,
		}
	})
}

func TestRightSchemas(t *testing.T) {
	s := newServer(t)
	schemas := newSchemas(t, s)
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		return isolationtest.Target{
			Pool: pool(t, schemas, opts...), Provision: schemas.Provision, Deprovision: schemas.Deprovision,
			Qualified: qualified, CopyIn: true, Kill: s.kill,
		}
	})
}

func TestRightFiles(t *testing.T) {
	files := files{dir: t.TempDir()}
	isolationtest.TestStrategy(t, func(t *testing.T, opts ...isolation.Option) isolationtest.Target {
		return isolationtest.Target{
			Pool: pool(t, files, opts...), Provision: files.Provision, Deprovision: files.Deprovision,
			Dialect: isolationtest.SQLite,
		}
	})
}

func pool(t *testing.T, strategy isolation.Strategy, opts ...isolation.Option) *isolation.Pool {
	t.Helper()
	p, err := isolation.New(strategy, opts...)
	require.NoError(t, err)
	return p
}
