package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what a Sentinel calls the master of a [Replicated].
const MasterName = "main"

// Replicated is a server with a replica, of one test, and a Sentinel that puts the replica
// in the master's place some 300 milliseconds after that has stopped answering.
type Replicated struct{ Master, Replica, Sentinel *Server }

// StartReplicated starts all three, which end with the test.
func StartReplicated(t testing.TB) *Replicated {
	t.Helper()
	r := &Replicated{Master: Start(t)}
	r.Replica = Start(t, func(c *config) { c.replicaOf = r.Master })
	r.Sentinel = Start(t, func(c *config) { c.sentinel = true })
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := r.form(ctx); err != nil {
		t.Fatalf("redistest: replicate: %v", err)
	}
	return r
}

// form tells the Sentinel of the master, and waits until both see the replica.
func (r *Replicated) form(ctx context.Context) error {
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: r.Sentinel.Addr()})
	defer func() { _ = sentinel.Close() }()
	err := errors.Join(
		sentinel.Monitor(ctx, MasterName, host, fmt.Sprint(r.Master.port), "1").Err(),
		sentinel.Set(ctx, MasterName, "down-after-milliseconds", "300").Err(),
		sentinel.Set(ctx, MasterName, "failover-timeout", "3000").Err(),
	)
	if err != nil {
		return err
	}
	master := redis.NewClient(&redis.Options{Addr: r.Master.Addr()})
	defer func() { _ = master.Close() }()
	for {
		replicas, err := sentinel.Replicas(ctx, MasterName).Result()
		if err != nil {
			return err
		}
		info, err := master.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		if len(replicas) == 1 && replicas[0]["master-link-status"] == "ok" && strings.Contains(info, "state=online") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; the Sentinel knows the replicas %v", ctx.Err(), replicas)
		case <-time.After(pollInterval):
		}
	}
}

// sentinelConfig returns the file that a Sentinel keeps what it knows in.
func (s *Server) sentinelConfig() string {
	path := filepath.Join(s.dir, "sentinel.conf")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	err := os.WriteFile(path, nil, 0o600)
	if err == nil && s.user != nil {
		err = os.Chown(path, s.user.UID, s.user.GID)
	}
	if err != nil {
		s.t.Errorf("redistest: %v", err)
	}
	return path
}
