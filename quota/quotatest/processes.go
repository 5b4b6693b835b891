package quotatest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// ReplicaEnv is set, to what TestProcesses was given, in processes that are replicas.
const ReplicaEnv = "TENANCY_QUOTA_REPLICA"

const (
	replicas   = 8
	replicaTTL = 5 * time.Second // long enough for a machine with much else to do
)

const replicaPlans = `{"version": 1, "plans": {
	"exact": {"limits": {
		"requests": {"windows": {"day": 600, "month": 400}},
		"users": {"per": "key", "windows": {"24h": 100}},
		"bursts": {"windows": {"24h": 8640}, "burst": 200},
		"streams": {"kind": "concurrent", "max": 20},
		"storage": {"kind": "stock", "max": 250}
	}},
	"leased": {"limits": {
		"requests": {"windows": {"day": 600, "month": 400}, "lease": 50},
		"users": {"per": "key", "windows": {"24h": 100}, "lease": 20},
		"bursts": {"windows": {"24h": 8640}, "burst": 200, "lease": 50},
		"streams": {"kind": "concurrent", "max": 20, "lease": 4},
		"storage": {"kind": "stock", "max": 250, "lease": 25}
	}}
}}`

// counts are the units that a replica was granted.
type counts struct{ Requests, Users, Bursts, Streams, Storage int64 }

// bounds are what all replicas together may be granted, at least and at most.
func bounds(plan string) (least, most counts) {
	const refilled = 12 // of a burst, in two minutes
	most = counts{400, 100, 200 + refilled, 20, 250}
	if plan == "exact" {
		return counts{400, 100, 200, 20, 250}, most
	}
	most.Bursts += 200 / 2
	// A claim of five may find less than that at each replica, and a refusal is believed for
	// a moment.
	return counts{360, 90, 180, 16, 200}, most
}

func (c counts) within(least, most counts) bool {
	between := func(n, least, most int64) bool { return least <= n && n <= most }
	return between(c.Requests, least.Requests, most.Requests) && between(c.Users, least.Users, most.Users) &&
		between(c.Bursts, least.Bursts, most.Bursts) && between(c.Streams, least.Streams, most.Streams) &&
		between(c.Storage, least.Storage, most.Storage)
}

// plans are what replicas follow, one after the other: limits that ask the store for each
// decision, and limits with leases.
var plans = []string{"exact", "leased"}

// TestProcesses runs eight replicas as processes of their own over one store, first with
// limits that ask it for each decision, and then with leases: all together are granted
// exactly the limits, or what leases may, and what those held that are killed is free
// again. It starts the test binary again, to run the test called name, which opens a
// store by the environment variable ReplicaEnv, set to at, and calls RunReplica.
// Store is a client of the same data.
func TestProcesses(t *testing.T, store quota.Store, name, at string) {
	var all [replicas]*replica
	for i := range all {
		all[i] = startReplica(t, name, at)
	}
	kept := make(map[string]int64)
	for _, plan := range plans {
		sum := race(t, all[:])
		if least, most := bounds(plan); !sum.within(least, most) {
			t.Errorf("%s: %d replicas were granted %+v, want %+v to %+v", plan, replicas, sum, least, most)
		}
		kept[plan] = sum.Storage
	}
	for i, r := range all {
		if i%2 == 0 {
			r.say(t, "close")
			_ = r.hear(t)
		}
		_ = r.cmd.Process.Kill() // SIGKILL, where there is one
		_ = r.cmd.Wait()
	}
	for _, plan := range plans {
		awaitFree(t, store, tenantOf(plan), kept[plan])
	}
}

// race has all take what they can get, and returns what they got.
func race(t *testing.T, all []*replica) (sum counts) {
	t.Helper()
	for _, r := range all {
		r.say(t, "go")
	}
	for _, r := range all {
		var c counts
		if err := json.Unmarshal([]byte(r.hear(t)), &c); err != nil {
			t.Fatalf("replica: %v", err)
		}
		sum.Requests += c.Requests
		sum.Users += c.Users
		sum.Bursts += c.Bursts
		sum.Streams += c.Streams
		sum.Storage += c.Storage
	}
	return sum
}

// tenantOf returns whose limits replicas use up.
func tenantOf(plan string) tenant.ID { return tenant.ID("acme-" + plan) }

// awaitFree waits until the store has given up what the dead held, and has what was kept.
func awaitFree(t *testing.T, store quota.Store, id tenant.ID, kept int64) {
	t.Helper()
	streams, storage := holding(quota.Concurrent, "streams", 20), holding(quota.Stock, "storage", 250)
	deadline := time.Now().Add(10 * replicaTTL)
	for {
		levels, err := store.Read(t.Context(), id, []quota.Counter{streams, storage})
		if err != nil {
			t.Fatal(err)
		}
		if levels[0].Used == 0 && levels[1].Used == kept {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d streams and %d of storage are used after the processes ended, want 0 and %d", levels[0].Used, levels[1].Used, kept)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// replica is a process that takes what it can get.
type replica struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startReplica(t *testing.T, name, at string) *replica {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+name+"$")
	cmd.Env = append(os.Environ(), ReplicaEnv+"="+at)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r := &replica{cmd, in, bufio.NewScanner(out)}
	if got := r.hear(t); got != "ready" {
		t.Fatalf("replica says %q, want ready", got)
	}
	return r
}

func (r *replica) say(t *testing.T, text string) {
	t.Helper()
	if _, err := fmt.Fprintln(r.in, text); err != nil {
		t.Fatalf("replica: %v", err)
	}
}

func (r *replica) hear(t *testing.T) string {
	t.Helper()
	if !r.out.Scan() {
		t.Fatalf("replica ended: %v", r.out.Err())
	}
	return r.out.Text()
}

// RunReplica is a replica of TestProcesses. It ends the process.
func RunReplica(t *testing.T, store quota.Store) {
	if err := runReplica(t.Context(), store, os.Stdin, os.Stdout); err != nil {
		t.Fatal(err)
	}
}

func runReplica(ctx context.Context, store quota.Store, in io.Reader, out io.Writer) error {
	catalog, err := quota.ParseCatalog([]byte(replicaPlans))
	if err != nil {
		return err
	}
	e, err := quota.New(quota.NewMemorySource(catalog), quota.WithStore(store, replicas),
		quota.WithStoreTTL(replicaTTL), quota.WithStoreTimeout(30*time.Second), quota.WithLeasePatience(30*time.Second))
	if err != nil {
		return err
	}
	commands := bufio.NewScanner(in)
	fmt.Fprintln(out, "ready")
	for _, plan := range plans {
		account, err := e.Account(tenant.NewContext(ctx, tenant.Tenant{ID: tenantOf(plan), Plan: plan}))
		if err != nil {
			return err
		}
		commands.Scan()
		c, err := takeAll(ctx, e, account)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(c); err != nil {
			return err
		}
	}
	if commands.Scan(); commands.Text() == "close" {
		err = e.Close(ctx)
		fmt.Fprintln(out, "closed")
	}
	commands.Scan() // until it is killed
	return err
}

// takeAll claims of all limits until none has room.
func takeAll(ctx context.Context, e *quota.Enforcer, account *quota.Account) (c counts, err error) {
	all := []struct {
		claim quota.Claim
		got   *int64
		keeps bool
	}{
		{quota.Claim{Limit: e.Ref("requests"), N: 1}, &c.Requests, false},
		{quota.Claim{Limit: e.Ref("users"), Key: "ann", N: 1}, &c.Users, false},
		{quota.Claim{Limit: e.Ref("bursts"), N: 1}, &c.Bursts, false},
		{quota.Claim{Limit: e.Ref("streams"), N: 1}, &c.Streams, false},
		{quota.Claim{Limit: e.Ref("storage"), N: 5}, &c.Storage, true},
	}
	for spent := 0; spent < 3; spent++ { // rounds in which all refuse
		for _, one := range all {
			grant, d := account.Claim(ctx, one.claim)
			if d.Cause() == quota.CauseUnavailable || d.Degraded() {
				return c, fmt.Errorf("the store did not answer: %w", d.Err())
			}
			if !d.OK {
				continue
			}
			spent = -1
			*one.got += one.claim.N
			if one.keeps {
				grant.Done()
			}
		}
	}
	return c, nil
}
