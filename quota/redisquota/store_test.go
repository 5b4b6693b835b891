package redisquota_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotatest"
	"github.com/tenancy-go/tenancy/quota/redisquota"
)

// connect returns a client that retries nothing by itself.
func connect(t testing.TB, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func connectCluster(t testing.TB, cluster *redistest.Cluster) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// opener returns what opens clients of data of their own, apart by the prefix.
func opener(t testing.TB, client redis.UniversalClient) func(t *testing.T) quotatest.Open {
	var number atomic.Int64
	return func(*testing.T) quotatest.Open {
		prefix := fmt.Sprintf("test-%d", number.Add(1))
		return func(now func() time.Time) quota.Store {
			store, err := redisquota.New(client, redisquota.WithPrefix(prefix), redisquota.WithClock(now))
			assert.NoError(t, err)
			return store
		}
	}
}

func TestStore(t *testing.T) {
	t.Parallel()
	quotatest.TestStore(t, opener(t, connect(t, redistest.Start(t).Addr())))
}

func TestStoreOnCluster(t *testing.T) {
	t.Parallel()
	client := connectCluster(t, redistest.StartCluster(t, 3))
	require.NoError(t, client.Ping(t.Context()).Err())
	quotatest.TestStore(t, opener(t, client))
}
