package benchmarks

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sethvargo/go-limiter/memorystore"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	"golang.org/x/time/rate"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// plenty is a limit that no run reaches.
const plenty = 1 << 50

var windows = []quota.Window{{Per: quota.Minute, Limit: plenty}, {Per: quota.Hour, Limit: plenty}, {Per: quota.Day, Limit: plenty}}

var errRefused = errors.New("refused")

// decisions is how many of them are one operation of a contender.
const decisions = 256

// batch returns a contender that decides about so many at a time.
func batch(name string, decide func(i int) bool) contender {
	return contender{name: name, batch: decisions, op: func(worker, i int) error {
		for j := range decisions {
			if !decide(worker*7919 + i*decisions + j) {
				return errRefused
			}
		}
		return nil
	}}
}

// BenchmarkQuotaAccount decides on a tenant that the request has found already.
func BenchmarkQuotaAccount(b *testing.B) {
	catalog, err := quota.NewCatalog(quota.Document{"version": 1, "plans": map[string]any{"p": map[string]any{
		"limits": map[string]any{
			"three":  map[string]any{"windows": map[string]any{"minute": 1 << 50, "hour": 1 << 50, "day": 1 << 50}},
			"strict": map[string]any{"windows": map[string]any{"minute": map[string]any{"limit": 1 << 50, "roll": "strict"}}},
			"none":   map[string]any{"windows": map[string]any{"minute": 0, "hour": 0, "day": 0}},
		},
		"features": map[string]any{"sso": true},
	}}})
	must(b, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	must(b, err)
	ctx := tenant.NewContext(b.Context(), tenant.Tenant{ID: "acme", Plan: "p"})
	account, err := enforcer.Account(ctx)
	must(b, err)
	three, strict, none, sso := enforcer.Ref("three"), enforcer.Ref("strict"), enforcer.Ref("none"), enforcer.Ref("sso")
	var limiters [3]*rate.Limiter
	for i := range limiters {
		limiters[i] = rate.NewLimiter(1e12, plenty)
	}
	contenders := []contender{
		batch("3 x/time/rate", func(int) bool { return limiters[0].Allow() && limiters[1].Allow() && limiters[2].Allow() }),
		batch("Take, 3 windows", func(int) bool { return account.Take(ctx, three, 1).OK }),
		batch("a refusal", func(int) bool { return !account.Take(ctx, none, 1).OK }),
		batch("Take, strict", func(int) bool { return account.Take(ctx, strict, 1).OK }),
		batch("Enabled", func(int) bool { return account.Enabled(sso) }),
	}
	for b.Loop() {
		t := table{title: "Decisions on a tenant that was found"}
		t.add("1 goroutine", compare(b, 1, contenders...))
		t.add(fmt.Sprintf("%d goroutines, one tenant", runtime.GOMAXPROCS(0)), compare(b, runtime.GOMAXPROCS(0), contenders...))
		t.print(b)
	}
	if allocs := testing.AllocsPerRun(1000, func() { account.Take(ctx, three, 1); account.Take(ctx, none, 1); account.Enabled(sso) }); allocs != 0 {
		b.Errorf("%v allocations", allocs)
	}
}

// BenchmarkQuotaKeyed decides by keys of 36 bytes in random order, warm: three
// windows here, one window or three limiters for the others.
func BenchmarkQuotaKeyed(b *testing.B) {
	for b.Loop() {
		t := table{title: "Decisions by key"}
		for _, n := range []int{1, 10_000, 1_000_000} {
			contenders := keyedContenders(b, n)
			for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
				t.add(fmt.Sprintf("%d keys, %d goroutines", n, workers), compare(b, workers, contenders...))
			}
		}
		t.addMean()
		t.print(b)
	}
}

func keyedContenders(b *testing.B, n int) []contender {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("tenant-%029d", i)
	}
	order := rand.New(rand.NewPCG(1, 2)).Perm(max(n, 1<<16))
	for i := range order {
		order[i] %= n
	}
	key := func(i int) string { return keys[order[i%len(order)]] }
	ctx := b.Context()

	ours, err := quota.NewKeyedLimiter(quota.Limit{Windows: windows}, quota.MaxKeys(2_000_000))
	must(b, err)
	sethvargo, err := memorystore.New(&memorystore.Config{Tokens: plenty, Interval: time.Minute, SweepInterval: time.Hour, SweepMinTTL: time.Hour})
	must(b, err)
	b.Cleanup(func() { _ = sethvargo.Close(ctx) })
	ulule := limiter.New(memory.NewStore(), limiter.Rate{Period: time.Minute, Limit: plenty})
	triple := [3]*shardedRate{newShardedRate(), newShardedRate(), newShardedRate()}

	contenders := []contender{
		batch("go-limiter", func(i int) bool { _, _, _, ok, err := sethvargo.Take(ctx, key(i)); return ok && err == nil }),
		batch("KeyedLimiter", func(i int) bool { return ours.Take(key(i), 1).OK }),
		batch("3 x/time/rate", func(i int) bool {
			k := key(i)
			return triple[0].allow(k) && triple[1].allow(k) && triple[2].allow(k)
		}),
		batch("ulule", func(i int) bool { c, err := ulule.Get(ctx, key(i)); return err == nil && !c.Reached }),
	}
	for _, c := range contenders { // every key is there before the clock runs
		for i := range (len(order) + decisions - 1) / decisions {
			must(b, c.op(0, i))
		}
	}
	return contenders
}

// shardedRate is what users write around x/time/rate: a map in 64 shards.
type shardedRate struct {
	seed   maphash.Seed
	shards [64]struct {
		mu sync.Mutex
		m  map[string]*rate.Limiter
	}
}

func newShardedRate() *shardedRate {
	s := &shardedRate{seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].m = make(map[string]*rate.Limiter)
	}
	return s
}

func (s *shardedRate) allow(key string) bool {
	shard := &s.shards[maphash.String(s.seed, key)%64]
	shard.mu.Lock()
	l := shard.m[key]
	if l == nil {
		l = rate.NewLimiter(1e12, plenty)
		shard.m[key] = l
	}
	shard.mu.Unlock()
	return l.Allow()
}

// BenchmarkQuotaMemory tells the bytes that a million keys take.
func BenchmarkQuotaMemory(b *testing.B) {
	const n = 1_000_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("tenant-%029d", i)
	}
	for b.Loop() {
		ours, err := quota.NewKeyedLimiter(quota.Limit{Windows: windows}, quota.MaxKeys(2*n))
		must(b, err)
		b.ReportMetric(heapOf(func() any {
			for _, key := range keys {
				ours.Take(key, 1)
			}
			return ours
		})/n, "B/key-KeyedLimiter")
		triple := [3]*shardedRate{newShardedRate(), newShardedRate(), newShardedRate()}
		b.ReportMetric(heapOf(func() any {
			for _, key := range keys {
				for _, l := range triple {
					l.allow(key)
				}
			}
			return triple
		})/n, "B/key-3-x/time/rate")
	}
}

// heapOf returns by how much fill lets the heap grow.
func heapOf(fill func() any) float64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := fill()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// BenchmarkQuotaGate compares a bare handler with one behind the middleware, which
// counts a request in three windows and tells the client what is left.
func BenchmarkQuotaGate(b *testing.B) {
	catalog, err := quota.NewCatalog(quota.Document{"version": 1, "plans": map[string]any{"p": map[string]any{"limits": map[string]any{
		"requests": map[string]any{"windows": map[string]any{"minute": 1 << 50, "hour": 1 << 50, "day": 1 << 50}},
	}}}})
	must(b, err)
	enforcer, err := quota.New(quota.NewMemorySource(catalog))
	must(b, err)
	gate, err := quota.NewGate(enforcer)
	must(b, err)
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	gated := gate.Middleware(bare)
	ctx := tenant.NewContext(b.Context(), tenant.Tenant{ID: "acme", Plan: "p"})
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://acme.example.com/orders", nil)
	w := &discard{header: http.Header{}}
	serve := func(name string, h http.Handler) contender {
		return batch(name, func(int) bool { h.ServeHTTP(w, request); return true })
	}
	for b.Loop() {
		t := table{title: "Middleware, three windows"}
		t.add("request", compare(b, 1, serve("bare handler", bare), serve("behind the gate", gated)))
		t.print(b)
	}
}
