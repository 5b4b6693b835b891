package redistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// slots is how many hash slots a Redis Cluster has.
const slots = 16384

// Cluster is a Redis Cluster of masters alone, of one test.
type Cluster struct{ Servers []*Server }

// StartCluster starts n servers as one cluster, which ends with the test.
func StartCluster(t testing.TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range n {
		c.Servers = append(c.Servers, Start(t, func(c *config) { c.cluster = true }))
	}
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := c.form(ctx); err != nil {
		t.Fatalf("redistest: make a cluster: %v", err)
	}
	return c
}

// Addrs returns the addresses of all servers.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, s := range c.Servers {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// form shares the slots out, has the servers meet, and waits until each knows it all.
func (c *Cluster) form(ctx context.Context) error {
	clients := make([]*redis.Client, len(c.Servers))
	for i, s := range c.Servers {
		clients[i] = redis.NewClient(&redis.Options{Addr: s.Addr()})
		defer func() { _ = clients[i].Close() }()
		first, next := i*slots/len(c.Servers), (i+1)*slots/len(c.Servers)
		err := errors.Join(
			clients[i].ClusterAddSlotsRange(ctx, first, next-1).Err(),
			clients[i].Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(),
		)
		if err != nil {
			return err
		}
	}
	for _, s := range c.Servers[1:] {
		if err := clients[0].Do(ctx, "CLUSTER", "MEET", host, s.port, s.bus).Err(); err != nil {
			return err
		}
	}
	for _, client := range clients {
		if err := c.waitWhole(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

// waitWhole returns once the server of client knows all others and all slots.
func (c *Cluster) waitWhole(ctx context.Context, client *redis.Client) error {
	nodes := fmt.Sprintf("cluster_known_nodes:%d\r\n", len(c.Servers))
	for {
		info, err := client.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, nodes) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the last state:\n%s", ctx.Err(), info)
		case <-time.After(pollInterval):
		}
	}
}
