package redistest_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/redistest"
)

func connect(t *testing.T, s *redistest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func TestServersAreApart(t *testing.T) {
	t.Parallel()
	one, two := redistest.Start(t), redistest.Start(t)
	require.NoError(t, connect(t, one).Set(t.Context(), "key", "value", 0).Err())
	count, err := connect(t, two).DBSize(t.Context()).Result()
	require.NoError(t, err)
	assert.Zero(t, count)
}

func TestPersistentServerKeepsItsDataThroughKill(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Persistent())
	addr, client := server.Addr(), connect(t, server)
	require.NoError(t, client.Set(t.Context(), "key", "value", 0).Err())

	server.Kill()
	require.Error(t, client.Ping(t.Context()).Err())
	server.Restart()

	assert.Equal(t, addr, server.Addr())
	value, err := client.Get(t.Context(), "key").Result()
	require.NoError(t, err)
	assert.Equal(t, "value", value)
}

func TestPausedServerAnswersWhenItIsResumed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := connect(t, server)
	require.NoError(t, client.Ping(t.Context()).Err())

	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.Error(t, client.Ping(ctx).Err())
	server.Resume()
	assert.NoError(t, client.Ping(t.Context()).Err())
}

func TestClusterServesAllSlots(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()[:1]})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		require.NoError(t, client.Set(t.Context(), key, key, 0).Err())
	}
	var used int
	for _, server := range cluster.Servers {
		count, err := connect(t, server).DBSize(t.Context()).Result()
		require.NoError(t, err)
		if count > 0 {
			used++
		}
	}
	assert.Equal(t, 3, used)
}
