package pghome_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestReuse(t *testing.T) {
	t.Parallel()
	c, err := postgres.NewConnector(pgtest.Open(t).URL())
	require.NoError(t, err)
	var connections pghome.Connections
	ctx := connections.Keep(t.Context())
	use := func(ctx context.Context, query string) (pid int, path string, err error) {
		err = pghome.Reuse(ctx, c, func(ctx context.Context, conn *sql.Conn) error {
			err := conn.QueryRowContext(ctx, "SELECT pg_backend_pid(), current_setting('search_path') || current_user").Scan(&pid, &path)
			require.NoError(t, err)
			_, err = conn.ExecContext(ctx, query)
			return err
		})
		return pid, path, err
	}
	first, before, err := use(ctx, "SET search_path TO elsewhere; CREATE ROLE "+pgtest.Name(t, "r")+"; SET ROLE pg_monitor")
	require.NoError(t, err)
	second, after, err := use(ctx, "SELECT 1")
	require.NoError(t, err)
	assert.Equal(t, first, second, "the same session")
	assert.Equal(t, before, after, "as it was opened")

	other, _, err := use(t.Context(), "SELECT 1")
	require.NoError(t, err)
	assert.NotEqual(t, first, other, "nothing is kept without Keep")

	_, _, err = use(ctx, "SELECT 1/0")
	require.Error(t, err)
	third, _, err := use(ctx, "BEGIN")
	require.NoError(t, err)
	assert.NotEqual(t, first, third, "not after an error")
	fourth, _, err := use(ctx, "SELECT 1")
	require.NoError(t, err)
	assert.NotEqual(t, third, fourth, "nor with a transaction open")

	stop := errors.New("stop")
	assert.ErrorIs(t, pghome.Reuse(ctx, c, func(context.Context, *sql.Conn) error { return stop }), stop)
	require.NoError(t, connections.Close())
}
