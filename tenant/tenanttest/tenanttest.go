package tenanttest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// TestStore checks the stores that newStore returns against the contract of
// [tenant.Store]. Each call of newStore returns an empty store, which
// newStore's t cleans up. Every clause of the contract is a subtest.
func TestStore(t *testing.T, newStore func(t *testing.T) tenant.Store) {
	t.Helper()
	for _, c := range clauses() {
		t.Run(c.name, func(t *testing.T) {
			store := newStore(t)
			if _, ok := store.(advancer); c.needsClock && !ok {
				t.Skip("the store has no method Advance(time.Duration); see the package's documentation")
			}
			if err := c.check(t.Context(), store); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWatcher checks the watchers that newWatcher returns, which tell of the
// changes made through the store beside them: the same object, or one that
// shares its data, as another process would.
func TestWatcher(t *testing.T, newWatcher func(t *testing.T) (tenant.Store, tenant.Watcher)) {
	t.Helper()
	for _, c := range watcherClauses() {
		t.Run(c.name, func(t *testing.T) {
			store, watcher := newWatcher(t)
			if err := c.check(t.Context(), store, watcher); err != nil {
				t.Error(err)
			}
		})
	}
}

// Context returns t's context with an active tenant of that ID. Its slug and
// name are the ID too. It fails the test if id is malformed.
func Context(t testing.TB, id tenant.ID) context.Context {
	t.Helper()
	return tenant.NewContext(t.Context(), Tenant(t, id))
}

// Tenant returns an active tenant whose slug and name are its ID, to change and
// pass to [tenant.NewContext] or a store. It fails the test if id is malformed.
func Tenant(t testing.TB, id tenant.ID) tenant.Tenant {
	t.Helper()
	if err := id.Validate(); err != nil {
		t.Fatal(err)
	}
	return active(id)
}

func active(id tenant.ID) tenant.Tenant {
	return tenant.Tenant{ID: id, Slug: string(id), Name: string(id), Status: tenant.StatusActive}
}

// Clock is a clock that stands still until it is moved on. It is safe for
// concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

// NewClock returns a clock that shows the present time.
func NewClock() *Clock { return &Clock{now: time.Now()} }

// Now returns the time that c shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves c on by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type advancer interface{ Advance(d time.Duration) }

// clause is one part of the contract. check returns what breaks it.
type clause struct {
	name       string
	needsClock bool
	check      func(ctx context.Context, s tenant.Store) error
}

func clauses() []clause {
	return []clause{
		{name: "create returns the record as kept", check: createKeeps},
		{name: "create refuses what is invalid", check: createRefuses},
		{name: "create refuses names in use", check: createTaken},
		{name: "find knows every name", check: findNames},
		{name: "find refuses malformed names", check: findMalformed},
		{name: "update replaces the record", check: updateReplaces},
		{name: "update checks the version", check: updateVersion},
		{name: "update keeps to the transitions of status", check: updateStatus},
		{name: "update refuses names in use", check: updateTaken},
		{name: "names given up are free at once", check: updateFrees},
		{name: "delete leaves a tombstone", check: deleteLeaves},
		{name: "delete refuses", check: deleteRefuses},
		{name: "a deleted tenant's ID and slug are kept from others", check: tombstoneKeeps},
		{name: "a deleted tenant's domains are free at once", check: tombstoneFrees},
		{name: "a deleted tenant's slug is free in time", needsClock: true, check: slugExpires},
		{name: "parents exist", check: parentsExist},
		{name: "parents form no circle", check: parentsCircle},
		{name: "parents outlive their children", check: parentsOutlive},
		{name: "an error leaves nothing behind", check: errorsLeaveNothing},
		{name: "records are not shared", check: nothingShared},
		{name: "text comes back byte for byte", check: textSurvives},
		{name: "a cancelled context stops everything", check: cancelled},
		{name: "list filters", check: listFilters},
		{name: "list searches literally", check: listSearches},
		{name: "list sorts and pages", check: listSorts},
		{name: "list pages survive changes", check: listChanges},
		{name: "list refuses what makes no sense", check: listRefuses},
		{name: "one of many wins a slug", check: raceSlug},
		{name: "one of many wins a domain", check: raceDomains},
		{name: "one of many wins a version", check: raceVersion},
		{name: "parents form no circle in a race", check: raceCircle},
		{name: "no child is left by a race with its parent's end", check: raceOrphan},
	}
}
