package tenant_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

var errDown = errors.New("store is down")

// fakeStore counts, delays and fails the reads of a MemoryStore.
type fakeStore struct {
	*tenant.MemoryStore
	reads atomic.Int64
	mu    sync.Mutex
	err   error
	gate  chan struct{} // a read that got its answer waits until it is closed
}

func (s *fakeStore) Find(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
	s.reads.Add(1)
	s.mu.Lock()
	err, gate := s.err, s.gate
	s.mu.Unlock()
	t, findErr := s.MemoryStore.Find(ctx, ref)
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return tenant.Tenant{}, ctx.Err()
		}
	}
	if err != nil {
		return tenant.Tenant{}, err
	}
	return t, findErr
}

func (s *fakeStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// hold makes reads wait, once they have their answer, until release is called.
func (s *fakeStore) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	}
}

type directoryTest struct {
	*tenant.Directory
	store *fakeStore
	clock *tenanttest.Clock
	acme  tenant.Tenant
}

func newDirectory(t *testing.T, opts ...tenant.DirectoryOption) directoryTest {
	t.Helper()
	clock := tenanttest.NewClock()
	store := &fakeStore{MemoryStore: tenant.NewMemoryStore(tenant.WithMemoryClock(clock.Now))}
	acme := tenanttest.Tenant(t, "acme")
	acme.Slug, acme.Domains = "acme-slug", []string{"acme.example.org", "www.acme.example.org"}
	acme, err := store.Create(t.Context(), acme)
	require.NoError(t, err)
	d, err := tenant.NewDirectory(store, append(opts, tenant.WithDirectoryClock(clock.Now))...)
	require.NoError(t, err)
	return directoryTest{d, store, clock, acme}
}

func (d directoryTest) names() []tenant.Ref {
	return []tenant.Ref{tenant.BySlug("acme-slug"), tenant.ByID("acme"), tenant.ByDomain("acme.example.org"), tenant.ByDomain("www.acme.example.org")}
}

func (d directoryTest) assertFinds(t *testing.T, ref tenant.Ref, want tenant.Tenant) {
	t.Helper()
	got, err := d.Find(t.Context(), ref)
	if assert.NoError(t, err) {
		assert.Equal(t, want, got)
	}
}

func (d directoryTest) assertUnknown(t *testing.T, ref tenant.Ref) {
	t.Helper()
	_, err := d.Find(t.Context(), ref)
	assert.ErrorIs(t, err, tenant.ErrNotFound)
}

func TestDirectoryReadsOncePerTTL(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for range 3 {
		for _, name := range d.names() {
			d.assertFinds(t, name, d.acme)
		}
	}
	assert.EqualValues(t, 1, d.store.reads.Load(), "one read serves all names")

	d.clock.Advance(time.Minute - 1)
	d.assertFinds(t, d.names()[0], d.acme)
	assert.EqualValues(t, 1, d.store.reads.Load())
	d.clock.Advance(1)
	d.assertFinds(t, d.names()[0], d.acme)
	assert.EqualValues(t, 2, d.store.reads.Load())
	assert.Equal(t, tenant.DirectoryStats{Hits: 12, Misses: 2, Loads: 2, Tenants: 1}, d.Stats())
}

func TestDirectoryRemembersUnknownNames(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for range 3 {
		d.assertUnknown(t, tenant.BySlug("nobody"))
	}
	assert.EqualValues(t, 1, d.store.reads.Load())
	d.clock.Advance(10 * time.Second)
	d.assertUnknown(t, tenant.BySlug("nobody"))
	assert.EqualValues(t, 2, d.store.reads.Load())
	assert.Equal(t, tenant.DirectoryStats{NegativeHits: 2, Misses: 2, Loads: 2, Unknown: 1}, d.Stats())
}

func TestDirectoryDoesNotAskForMalformedNames(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for _, ref := range []tenant.Ref{{}, tenant.ByID(""), tenant.ByID("A"), tenant.BySlug("www"), tenant.BySlug("' OR 1=1"), tenant.ByDomain("EXAMPLE.org")} {
		d.assertUnknown(t, ref)
	}
	assert.Zero(t, d.store.reads.Load())
}

func TestDirectoryUnknownNamesDoNotPushTenantsOut(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, tenant.WithMaxTenants(1), tenant.WithMaxUnknown(10))
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
	for i := range 1000 {
		d.assertUnknown(t, tenant.BySlug(fmt.Sprintf("nobody-%d", i)))
	}
	reads := d.store.reads.Load()
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
	assert.Equal(t, reads, d.store.reads.Load())
	assert.Equal(t, 10, d.Stats().Unknown)
}

func TestDirectoryKeepsTheTenantsUsedLast(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, tenant.WithMaxTenants(2))
	for _, id := range []tenant.ID{"b", "c"} {
		_, err := d.store.Create(t.Context(), tenanttest.Tenant(t, id))
		require.NoError(t, err)
	}
	for _, id := range []tenant.ID{"acme", "b", "acme", "c"} { // c pushes b out
		_, err := d.Find(t.Context(), tenant.ByID(id))
		require.NoError(t, err)
	}
	require.EqualValues(t, 3, d.store.reads.Load())
	d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme)
	assert.EqualValues(t, 3, d.store.reads.Load())
	_, err := d.Find(t.Context(), tenant.BySlug("b"))
	require.NoError(t, err)
	assert.EqualValues(t, 4, d.store.reads.Load(), "the slug left together with its tenant")
	assert.Equal(t, 2, d.Stats().Tenants)
}

func TestDirectoryReadsOnceForAThousandMisses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		release := d.store.hold()
		first, cancel := context.WithCancel(t.Context())
		var lost error
		var group sync.WaitGroup
		group.Go(func() { _, lost = d.Find(first, tenant.BySlug("acme-slug")) })
		synctest.Wait()
		for range 1000 {
			group.Go(func() { d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme) })
		}
		synctest.Wait()
		cancel() // the one who began the read goes; the read goes on
		synctest.Wait()
		require.ErrorIs(t, lost, context.Canceled)
		release()
		group.Wait()
		assert.EqualValues(t, 1, d.store.reads.Load())
	})
}

func TestDirectoryHonoursEachCallersContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		d.store.hold()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := d.Find(ctx, tenant.ByID("acme"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))

		_, err = d.Find(t.Context(), tenant.ByID("acme"))
		require.ErrorIs(t, err, context.DeadlineExceeded, "a read that hangs is given up")
		assert.Equal(t, 5*time.Second, time.Since(start))
		_, err = d.Find(ctx, tenant.ByID("another"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualValues(t, 1, d.store.reads.Load(), "who has no time left begins no read")
	})
}

func TestDirectoryBridgesAFailingStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		d.store.fail(errDown)
		d.clock.Advance(time.Minute)
		for range 100 { // 10 seconds
			d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme)
			synctest.Wait()
			d.clock.Advance(100 * time.Millisecond)
		}
		assert.EqualValues(t, 11, d.store.reads.Load(), "one try per second")
		assert.EqualValues(t, 10, d.Stats().Failures)
		assert.EqualValues(t, 100, d.Stats().Stale)

		d.clock.Advance(5 * time.Minute)
		_, err := d.Find(t.Context(), tenant.BySlug("acme-slug"))
		require.ErrorIs(t, err, errDown, "not for ever")
		require.NotErrorIs(t, err, tenant.ErrNotFound)
		reads := d.store.reads.Load()
		_, err = d.Find(t.Context(), tenant.BySlug("acme-slug"))
		require.ErrorIs(t, err, errDown)
		assert.Equal(t, reads, d.store.reads.Load())

		d.store.fail(nil)
		d.clock.Advance(time.Second)
		d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme)
	})
}

func TestDirectoryDoesNotWaitForAStoreKnownToHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		d.clock.Advance(time.Minute)
		release := d.store.hold()
		d.assertFinds(t, tenant.ByID("acme"), d.acme) // waits until the read is given up
		start := time.Now()
		d.clock.Advance(time.Second)
		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		assert.Zero(t, time.Since(start))

		release()
		synctest.Wait()
		stale := d.Stats().Stale
		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		assert.Equal(t, stale, d.Stats().Stale, "the read that nobody waited for was kept")
	})
}

func TestDirectoryLeavesAFailingStoreAlone(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.store.fail(errDown)
	for range 100 {
		_, err := d.Find(t.Context(), tenant.ByID("acme"))
		require.ErrorIs(t, err, errDown)
	}
	assert.EqualValues(t, 1, d.store.reads.Load())
	d.store.fail(nil)
	d.clock.Advance(time.Second)
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
}

func TestDirectoryStaleForNothing(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, tenant.WithStaleFor(0))
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
	d.store.fail(errDown)
	d.clock.Advance(time.Minute)
	_, err := d.Find(t.Context(), tenant.ByID("acme"))
	require.ErrorIs(t, err, errDown)
}

func TestDirectoryInvalidateAfterRename(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme)
	d.assertUnknown(t, tenant.BySlug("acme-new"))
	d.assertUnknown(t, tenant.ByDomain("new.example.org"))

	renamed := d.acme.Clone()
	renamed.Slug, renamed.Domains = "acme-new", []string{"new.example.org"}
	renamed, err := d.store.Update(t.Context(), renamed)
	require.NoError(t, err)
	d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme) // not told yet
	d.Invalidate("acme")

	for _, ref := range []tenant.Ref{tenant.BySlug("acme-new"), tenant.ByDomain("new.example.org"), tenant.ByID("acme")} {
		d.assertFinds(t, ref, renamed)
	}
	for _, ref := range []tenant.Ref{tenant.BySlug("acme-slug"), tenant.ByDomain("acme.example.org"), tenant.ByDomain("www.acme.example.org")} {
		d.assertUnknown(t, ref)
	}
}

func TestDirectoryDropsARecordThatLostItsName(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme)
	renamed := d.acme.Clone()
	renamed.Slug = "acme-new"
	renamed, err := d.store.Update(t.Context(), renamed)
	require.NoError(t, err)
	heir := tenanttest.Tenant(t, "heir")
	heir.Slug = "acme-slug"
	heir, err = d.store.Create(t.Context(), heir)
	require.NoError(t, err)

	d.assertFinds(t, tenant.ByID("heir"), heir)
	d.assertFinds(t, tenant.BySlug("acme-slug"), heir)
	d.assertFinds(t, tenant.ByID("acme"), renamed)
	d.assertFinds(t, tenant.ByDomain("acme.example.org"), renamed)
}

func TestDirectoryPurge(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
	d.assertUnknown(t, tenant.ByID("nobody"))
	d.Purge()
	assert.Zero(t, d.Stats().Tenants)
	assert.Zero(t, d.Stats().Unknown)
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
	d.assertUnknown(t, tenant.ByID("nobody"))
	assert.EqualValues(t, 4, d.store.reads.Load())
}

// A read that got its answer before a change, and brings it after the change was
// told of, must not be kept.
func TestDirectoryDoesNotKeepWhatChangedMeanwhile(t *testing.T) {
	t.Parallel()
	tell := map[string]func(d directoryTest){
		"invalidate": func(d directoryTest) { d.Invalidate("acme") },
		"purge":      func(d directoryTest) { d.Purge() },
	}
	for name, tell := range tell {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDirectory(t)
				release := d.store.hold()
				var group sync.WaitGroup
				group.Go(func() { d.assertFinds(t, tenant.BySlug("acme-slug"), d.acme) })
				group.Go(func() { d.assertUnknown(t, tenant.BySlug("acme-new")) })
				synctest.Wait()

				renamed := d.acme.Clone()
				renamed.Slug, renamed.Status = "acme-new", tenant.StatusSuspended
				renamed, err := d.store.Update(t.Context(), renamed)
				require.NoError(t, err)
				tell(d)
				// Who asks from now on does not join the reads that began before.
				group.Go(func() { d.assertFinds(t, tenant.BySlug("acme-new"), renamed) })
				group.Go(func() { d.assertUnknown(t, tenant.BySlug("acme-slug")) })
				synctest.Wait()
				release()
				group.Wait()

				d.assertFinds(t, tenant.BySlug("acme-new"), renamed)
				d.assertFinds(t, tenant.ByID("acme"), renamed)
				d.assertUnknown(t, tenant.BySlug("acme-slug"))
			})
		})
	}
}

func TestDirectoryKeepsAReadThatAnotherTenantsChangeOvertakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		release := d.store.hold()
		var group sync.WaitGroup
		group.Go(func() { d.assertFinds(t, tenant.ByID("acme"), d.acme) })
		synctest.Wait()
		d.Invalidate("other")
		release()
		group.Wait()
		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		assert.EqualValues(t, 1, d.store.reads.Load())
	})
}

func TestDirectoryRefusesAnswersToAnotherQuestion(t *testing.T) {
	t.Parallel()
	for _, wrong := range []tenant.Tenant{{}, tenanttest.Tenant(t, "other")} {
		d, err := tenant.NewDirectory(finderFunc(func(context.Context, tenant.Ref) (tenant.Tenant, error) { return wrong, nil }))
		require.NoError(t, err)
		for _, ref := range []tenant.Ref{tenant.ByID("acme"), tenant.BySlug("acme"), tenant.ByDomain("acme.example.org")} {
			_, err = d.Find(t.Context(), ref)
			require.Error(t, err)
			require.NotErrorIs(t, err, tenant.ErrNotFound)
		}
	}
}

func TestDirectorySurvivesAPanic(t *testing.T) {
	t.Parallel()
	d, err := tenant.NewDirectory(finderFunc(func(context.Context, tenant.Ref) (tenant.Tenant, error) { panic("boom") }))
	require.NoError(t, err)
	_, err = d.Find(t.Context(), tenant.ByID("acme"))
	assert.ErrorContains(t, err, "boom")
}

type finderFunc func(context.Context, tenant.Ref) (tenant.Tenant, error)

func (f finderFunc) Find(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
	return f(ctx, ref)
}

func TestDirectoryFindReturnsACopy(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	got, err := d.Find(t.Context(), tenant.ByID("acme"))
	require.NoError(t, err)
	got.Domains[0] = "spoilt.example.org"
	d.assertFinds(t, tenant.ByID("acme"), d.acme)
}

func TestDirectoryFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		var end error
		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		group.Go(func() { end = d.Follow(ctx, d.store.MemoryStore) })
		synctest.Wait()
		assert.Zero(t, d.Stats().Tenants, "what was read before following may be out of date")

		d.assertFinds(t, tenant.ByID("acme"), d.acme)
		changed := d.acme
		changed.Name = "Changed"
		changed, err := d.store.Update(t.Context(), changed)
		require.NoError(t, err)
		synctest.Wait()
		d.assertFinds(t, tenant.ByID("acme"), changed)
		cancel()
		group.Wait()
		require.ErrorIs(t, end, context.Canceled)
	})
}

func TestNewDirectoryRefuses(t *testing.T) {
	t.Parallel()
	_, err := tenant.NewDirectory(nil)
	require.Error(t, err)
	for _, opt := range []tenant.DirectoryOption{
		tenant.WithMaxTenants(0), tenant.WithMaxUnknown(-1), tenant.WithTTL(0), tenant.WithUnknownTTL(-1),
		tenant.WithStaleFor(-1), tenant.WithLoadTimeout(0), tenant.WithDirectoryClock(nil),
	} {
		_, err := tenant.NewDirectory(tenant.NewMemoryStore(), opt)
		require.Error(t, err)
	}
	d, err := tenant.NewDirectory(tenant.NewMemoryStore())
	require.NoError(t, err)
	require.Error(t, d.Follow(t.Context(), nil))
}

// cachedStore is a store read through a Directory that is told of each change.
type cachedStore struct {
	tenant.Store
	*tenanttest.Clock
	directory *tenant.Directory
}

func (s cachedStore) Find(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
	if err := ctx.Err(); err != nil {
		return tenant.Tenant{}, err // a Directory answers from memory all the same
	}
	return s.directory.Find(ctx, ref)
}

func (s cachedStore) Create(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	defer s.directory.Invalidate(t.ID)
	return s.Store.Create(ctx, t)
}

func (s cachedStore) Update(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	defer s.directory.Invalidate(t.ID)
	return s.Store.Update(ctx, t)
}

func (s cachedStore) Delete(ctx context.Context, id tenant.ID, version int64) (tenant.Tenant, error) {
	defer s.directory.Invalidate(id)
	return s.Store.Delete(ctx, id, version)
}

func TestStoreBehindADirectory(t *testing.T) {
	t.Parallel()
	tenanttest.TestStore(t, func(t *testing.T) tenant.Store {
		clock := tenanttest.NewClock()
		store := tenant.NewMemoryStore(tenant.WithMemoryClock(clock.Now))
		directory, err := tenant.NewDirectory(store, tenant.WithDirectoryClock(clock.Now))
		require.NoError(t, err)
		return cachedStore{store, clock, directory}
	})
}
