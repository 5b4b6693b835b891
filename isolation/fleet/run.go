package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/internal/plural"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

// batch is how many tenants' homes are looked up at a time.
const batch = 500

// Run brings the homes of tenants to the target version. Where the ledger knows them
// to be there already, this costs one query of the ledger in all, and one look-up
// of homes for every 500 tenants.
//
// A migration is a transaction in each home, which records the version, too. A run
// that failed, was stopped or was killed is resumed by running again. The error
// wraps [ErrStopped], [ErrIncomplete], [ErrRunning] or [ErrChanged], or says what
// else kept the run from going on; the report is what was done until then.
func (f *Fleet) Run(ctx context.Context, tenants Tenants) (report Report, err error) {
	r := &run{Fleet: f, tenants: tenants}
	var connections pghome.Connections
	defer func() { err = errors.Join(err, connections.Close()) }()
	ctx = connections.Keep(ctx)
	if err := r.plan(ctx); err != nil || r.total == 0 {
		return r.skipped, err
	}
	lock, err := f.ledger.lock(ctx, f.wait)
	if err != nil {
		return r.skipped, err
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	// Another runner may have been at work until now.
	if err := r.plan(ctx); err != nil || r.total == 0 {
		return r.skipped, err
	}
	return r.migrate(ctx, lock)
}

// run is one call of Run.
type run struct {
	*Fleet
	tenants Tenants
	homes   map[digest]known
	skipped Report // by the plan
	total   int    // homes to migrate, by the plan

	mu     sync.Mutex
	report Report // guarded by mu
	broken error  // why no more may be begun; guarded by mu
	events sync.Mutex
}

// job is a home to migrate, and a tenant in it.
type job struct {
	tenant tenant.Tenant
	key    string
}

// plan reads the ledger and counts what is to do.
func (r *run) plan(ctx context.Context) (err error) {
	if r.homes, err = r.ledger.load(ctx); err != nil {
		return err
	}
	r.total = 0
	r.skipped, err = r.walk(ctx, func(job) bool {
		r.total++
		return true
	})
	return err
}

// walk calls do for each home to migrate, until it returns false, and returns what
// it passed over.
func (r *run) walk(ctx context.Context, do func(job) bool) (skipped Report, err error) {
	w := walker{run: r, seen: map[digest]bool{}, do: do}
	ts := make([]tenant.Tenant, 0, batch)
	for t, err := range r.tenants {
		if err != nil {
			return w.skipped, fmt.Errorf("fleet: list tenants: %w", err)
		}
		if ts = append(ts, t); len(ts) < batch {
			continue
		}
		if more, err := w.look(ctx, ts); err != nil || !more {
			return w.skipped, err
		}
		ts = ts[:0]
	}
	_, err = w.look(ctx, ts)
	return w.skipped, err
}

type walker struct {
	*run
	seen    map[digest]bool // homes that do was called for, or that many tenants share
	do      func(job) bool
	skipped Report
}

// look decides about some tenants, and reports whether to go on.
func (w *walker) look(ctx context.Context, ts []tenant.Tenant) (bool, error) {
	keys, err := w.strategy.HomeKeys(ctx, ts)
	if err != nil {
		return false, fmt.Errorf("fleet: find homes: %w", err)
	}
	for i, key := range keys {
		w.skipped.Tenants++
		if key == "" {
			w.skipped.Absent++
			continue
		}
		d := digestOf(key)
		if w.seen[d] {
			continue
		}
		pass, err := w.decide(ts[i].ID, d)
		if err != nil {
			return false, err
		}
		if pass != nil {
			*pass++
			if w.homes[d].kind == Shared {
				w.seen[d] = true
			}
			continue
		}
		w.seen[d] = true
		if !w.do(job{tenant: ts[i], key: key}) {
			return false, nil
		}
	}
	return true, nil
}

// decide returns the count of the report that a home to pass over belongs to, or nil.
func (w *walker) decide(id tenant.ID, d digest) (*int, error) {
	k, found := w.homes[d]
	if !found {
		return nil, nil
	}
	if k.state == Quarantined {
		return &w.skipped.Quarantined, nil
	}
	set := w.migrations.sets[k.kind]
	if set == nil || set.err != nil || w.recheck {
		return nil, nil
	}
	sum := set.sumAt(k.version)
	switch {
	case sum != "" && k.sum == digestOf(""): // noted by code that did not know the version
		return nil, nil
	case sum != "" && digestOf(sum) != k.sum && !w.acceptChanges:
		return nil, fmt.Errorf("%w: one of the first %d, since tenant %s was migrated; restore it and add a new one, "+
			"or use the option AcceptChanges", ErrChanged, k.version, id)
	case k.state != Migrated:
		return nil, nil
	case k.version > w.target:
		return &w.skipped.Ahead, nil
	case k.version == set.reachable(w.target) && digestOf(sum) == k.sum:
		return &w.skipped.Current, nil
	default:
		return nil, nil
	}
}

// reachable returns the version that a home has after all up to target are applied.
func (s *set) reachable(target int64) int64 {
	steps := s.upTo(target)
	if len(steps) == 0 {
		return 0
	}
	return steps[len(steps)-1].version
}

// migrate does what plan found, wave by wave.
func (r *run) migrate(ctx context.Context, lock *runnerLock) (Report, error) {
	r.report = r.skipped
	r.report.Remaining = r.total
	r.emit(func(c Counts) Event { return Planned{Counts: c, Skipped: r.skipped} })
	w := &waves{run: r, lock: lock, ends: r.waveEnds()}
	w.workers.SetLimit(r.Fleet.workers)
	w.begin()
	_, err := r.walk(ctx, func(j job) bool { return w.take(ctx, j) })
	err = errors.Join(w.err, err, w.finish())
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = failed(ctx, "run", ctx.Err())
	case r.report.Failed > 0:
		err = fmt.Errorf("%w: %s; first %w", ErrIncomplete, r.report, r.report.Failures[0])
	}
	return r.report, err
}

// waveEnds returns after how many homes each wave ends, rising. The last is open.
func (r *run) waveEnds() []int {
	var ends []int
	last := 0
	for _, w := range r.Fleet.waves {
		if end := w.upTo(r.total); end > last && end < r.total {
			ends, last = append(ends, end), end
		}
	}
	return append(ends, 0)
}

// waves hands jobs to workers. One goroutine calls its methods.
type waves struct {
	*run
	lock    *runnerLock
	ends    []int
	current int // index in ends
	taken   int
	workers errgroup.Group
	err     error // why the run stopped
}

func (w *waves) begin() {
	upTo := w.ends[w.current]
	if upTo == 0 {
		upTo = w.total
	}
	w.emit(func(c Counts) Event { return WaveBegun{Counts: c, Wave: w.current + 1, UpTo: upTo} })
}

// take gives j to a worker once one is free. It returns false if the run is to stop.
func (w *waves) take(ctx context.Context, j job) bool {
	if w.ends[w.current] > 0 && w.taken == w.ends[w.current] {
		if err := w.finish(); err != nil {
			w.err = err
			return false
		}
		if err := w.lock.check(ctx); err != nil {
			w.err = err
			return false
		}
		w.current++
		w.begin()
	}
	if ctx.Err() != nil || w.isBroken() {
		return false
	}
	if failed := w.failures(); failed > w.budgetNow() {
		w.err = fmt.Errorf("%w: %s, more than the %d that are allowed, first %w", ErrStopped, plural.Of(failed, "failure"), w.budgetNow(), w.firstFailure())
		return false
	}
	w.taken++
	w.workers.Go(func() error {
		err := w.home(ctx, j)
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.broken = err
		}
		return err
	})
	return true
}

func (r *run) isBroken() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.broken != nil
}

// finish waits for the wave's homes.
func (w *waves) finish() error {
	if err := w.workers.Wait(); err != nil {
		return err
	}
	if w.err != nil {
		return nil
	}
	w.emit(func(c Counts) Event { return WaveDone{Counts: c, Wave: w.current + 1} })
	if failed := w.failures(); failed > w.budgetNow() {
		return fmt.Errorf("%w: %s, in wave %d, first %w", ErrStopped, plural.Of(failed, "failure"), w.current+1, w.firstFailure())
	}
	return nil
}

// budgetNow is 0 in all waves but the last.
func (w *waves) budgetNow() int {
	if w.ends[w.current] > 0 {
		return 0
	}
	return w.budget
}

func (r *run) firstFailure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Failures[0]
}

func (r *run) failures() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Failed
}

// home brings one home to the target, trying again where that may help. It returns
// an error only if the ledger cannot be written: without it nothing may go on.
func (r *run) home(ctx context.Context, j job) error {
	r.emit(func(c Counts) Event { return HomeBegun{Counts: c, Tenant: j.tenant.ID} })
	start := time.Now()
	v := &visit{}
	err := r.persist(ctx, j.tenant, v)
	switch {
	case err == nil:
		r.count(func(report *Report) { report.Migrated++ })
		r.emit(func(c Counts) Event {
			return HomeDone{Counts: c, Tenant: j.tenant.ID, Home: v.home.Key, From: v.from, To: v.version, Applied: v.applied, Took: time.Since(start)}
		})
		return nil
	case ctx.Err() != nil:
		return nil // it remains as it is, for the next run
	case errors.Is(err, ErrQuarantined):
		r.count(func(report *Report) { report.Quarantined++ })
		return nil
	case isAbsent(err):
		r.count(func(report *Report) { report.Absent++ })
		return nil
	default:
		return r.fell(ctx, j, v, err)
	}
}

// persist calls bring until it succeeds, or fails for good.
func (r *run) persist(ctx context.Context, t tenant.Tenant, v *visit) error {
	for attempt := 1; ; attempt++ {
		err := r.bring(ctx, t, v)
		if err == nil || attempt > r.retries || !isPassing(err) {
			return err
		}
		wait := backoff(attempt, r.firstWait, r.longestWait)
		r.emit(func(c Counts) Event {
			return HomeRetried{Counts: c, Tenant: t.ID, Attempt: attempt, Wait: wait, Err: err}
		})
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// fell notes a failure.
func (r *run) fell(ctx context.Context, j job, v *visit, why error) error {
	quarantined, err := r.ledger.fell(ctx, j.key, v, why, r.quarantineAfter)
	failure := Failure{Tenant: j.tenant.ID, Home: j.key, Version: v.version, Quarantined: quarantined, Err: why}
	r.count(func(report *Report) {
		report.Failed++
		if len(report.Failures) < maxFailures {
			report.Failures = append(report.Failures, failure)
		}
	})
	r.emit(func(c Counts) Event { return HomeFailed{Counts: c, Failure: failure} })
	return err
}

// count changes the report for a home that is done.
func (r *run) count(change func(*Report)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Remaining = max(0, r.report.Remaining-1)
	change(&r.report)
}

// emit reports an event, one at a time and in the order of their counts.
func (r *run) emit(event func(Counts) Event) {
	r.events.Lock()
	defer r.events.Unlock()
	r.mu.Lock()
	c := Counts{Total: r.total, Done: r.total - r.report.Remaining, Failed: r.report.Failed}
	r.mu.Unlock()
	r.progress(event(c))
}
