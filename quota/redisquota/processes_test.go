package redisquota_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/quota/redisquota"
)

func TestProcesses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store, err := redisquota.New(connect(t, server.Addr()))
	require.NoError(t, err)
	quotatest.TestProcesses(t, store, "TestReplica", server.Addr())
}

// TestReplica is what TestProcesses runs eight times.
func TestReplica(t *testing.T) {
	addr := os.Getenv(quotatest.ReplicaEnv)
	if addr == "" {
		return
	}
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	store, err := redisquota.New(client)
	require.NoError(t, err)
	quotatest.RunReplica(t, store)
}
