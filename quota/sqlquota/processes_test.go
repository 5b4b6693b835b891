package sqlquota_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/quota/sqlquota"
)

func TestProcesses(t *testing.T) {
	t.Parallel()
	server := postgres(t)
	quotatest.TestProcesses(t, server.store(t), "TestReplica", server.dsn)
}

// TestReplica is what TestProcesses runs eight times.
func TestReplica(t *testing.T) {
	dsn := os.Getenv(quotatest.ReplicaEnv)
	if dsn == "" {
		return
	}
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(4)
	store, err := sqlquota.New(db, sqlquota.Postgres)
	require.NoError(t, err)
	quotatest.RunReplica(t, store)
}
