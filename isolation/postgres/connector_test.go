package postgres_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

func TestWithUserLogsInAsAnother(t *testing.T) {
	t.Parallel()
	pg := pgtest.Open(t)
	admin, err := postgres.NewConnector(pg.URL())
	require.NoError(t, err)
	direct := sql.OpenDB(admin)
	defer direct.Close()
	role := pgtest.Name(t, "app")
	require.NoError(t, postgres.EnsureRole(t.Context(), direct, role, "its own"))

	app := admin.WithUser(role, "its own")
	assert.Equal(t, role, app.User())
	assert.Equal(t, pg.Name, app.Database())
	db := sql.OpenDB(app)
	defer db.Close()
	var user, database string
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT session_user, current_database()`).Scan(&user, &database))
	assert.Equal(t, []string{role, pg.Name}, []string{user, database})

	wrong := sql.OpenDB(admin.WithUser(role, "another's"))
	defer wrong.Close()
	assert.Error(t, wrong.PingContext(t.Context()), "the administrator's password must not come along")
}
