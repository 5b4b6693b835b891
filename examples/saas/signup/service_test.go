package signup_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/signup"
	"github.com/tenancy-go/tenancy/tenant"
)

var errDisk = errors.New("disk is full")

// homes is a Provisioner in memory that fails when told to.
type homes struct {
	mu     sync.Mutex
	broken bool
	made   map[tenant.ID]int // how often each was brought up to date; guarded by mu
}

func newHomes() *homes { return &homes{made: make(map[tenant.ID]int)} }

func (h *homes) setBroken(broken bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken = broken
}

func (h *homes) Prepare(context.Context) error { return nil }

func (h *homes) Provision(ctx context.Context, t tenant.Tenant) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return errDisk
	}
	h.made[t.ID]++
	return ctx.Err()
}

func (h *homes) Migrate(ctx context.Context, t tenant.Tenant) error { return h.Provision(ctx, t) }

func (h *homes) Deprovision(_ context.Context, t tenant.Tenant) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return errDisk
	}
	delete(h.made, t.ID)
	return nil
}

func (h *homes) has(id tenant.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.made[id] > 0
}

// fixture is a Service whose clock and homes a test controls.
type fixture struct {
	*signup.Service
	store *tenant.MemoryStore
	homes *homes
	now   time.Time
}

func newFixture() *fixture {
	f := &fixture{homes: newHomes(), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return f.now }
	f.store = tenant.NewMemoryStore(tenant.WithMemoryClock(clock))
	f.Service = signup.New(f.store, f.homes, clock)
	return f
}

func form() signup.Form {
	return signup.Form{Name: "Initech", Slug: "initech", Email: "peter@initech.example", Accent: "#c77700"}
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	f := newFixture()
	got, err := f.SignUp(t.Context(), signup.Form{Name: "  Initech   GmbH ", Slug: " Initech", Email: "peter@initech.example ", Accent: "#c77700"})
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusActive, got.Status)
	assert.Equal(t, "Initech GmbH", got.Name)
	assert.Equal(t, "initech", got.Slug)
	assert.Equal(t, "peter@initech.example", got.Contact.Email)
	assert.Equal(t, "#c77700", got.Settings[signup.SettingAccent])
	assert.True(t, f.homes.has(got.ID))
}

func TestSignUpRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture()
	_, err := f.SignUp(t.Context(), signup.Form{Slug: "www", Email: "Peter <peter@initech.example>", Accent: "red", Name: "a\x00b"})
	var invalid *signup.FormError
	require.ErrorAs(t, err, &invalid)
	assert.Len(t, invalid.Fields, 4)
	assert.Contains(t, invalid.Fields["slug"], "reserved")

	page, err := f.store.List(t.Context(), tenant.Query{})
	require.NoError(t, err)
	assert.Empty(t, page.Tenants, "a refused form leaves nothing")
}

func TestSignUpTellsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture()
	_, err := f.SignUp(t.Context(), form())
	require.NoError(t, err)
	again := form()
	again.Email = "nobody"
	var invalid *signup.FormError
	_, err = f.SignUp(t.Context(), again)
	require.ErrorAs(t, err, &invalid)
	assert.Contains(t, invalid.Fields["slug"], "taken")
	assert.NotEmpty(t, invalid.Fields["email"])
}

func TestSignUpGoesOnAfterAFailure(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.homes.setBroken(true)
	_, err := f.SignUp(t.Context(), form())
	require.ErrorIs(t, err, signup.ErrUnfinished)
	require.ErrorIs(t, err, errDisk)
	begun, err := f.store.Find(t.Context(), tenant.BySlug("initech"))
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusProvisioning, begun.Status, "the address stays claimed")

	f.homes.setBroken(false)
	stranger := form()
	stranger.Email = "milton@initech.example"
	var invalid *signup.FormError
	_, err = f.SignUp(t.Context(), stranger)
	require.ErrorAs(t, err, &invalid, "somebody else does not take it over")

	finished, err := f.SignUp(t.Context(), form())
	require.NoError(t, err)
	assert.Equal(t, begun.ID, finished.ID)
	assert.Equal(t, tenant.StatusActive, finished.Status)

	_, err = f.SignUp(t.Context(), form())
	require.ErrorAs(t, err, &invalid, "what is finished is taken")
}

func TestSignUpOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	f := newFixture()
	ctx, cancel := context.WithCancel(t.Context())
	service := signup.New(cancelling{f.store, cancel}, f.homes, time.Now)
	got, err := service.SignUp(ctx, form())
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusActive, got.Status)
}

// cancelling is a store after whose Create the browser is gone.
type cancelling struct {
	tenant.Store
	cancel context.CancelFunc
}

func (s cancelling) Create(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	defer s.cancel()
	return s.Store.Create(ctx, t)
}

func TestRecoverFinishesAndGivesUp(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.homes.setBroken(true)
	_, err := f.SignUp(t.Context(), form())
	require.ErrorIs(t, err, signup.ErrUnfinished)
	require.Error(t, f.Recover(t.Context()), "a failure is told")

	f.homes.setBroken(false)
	require.NoError(t, f.Recover(t.Context()))
	finished, err := f.store.Find(t.Context(), tenant.BySlug("initech"))
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusActive, finished.Status)

	abandoned := tenant.Tenant{ID: "abandoned", Slug: "abandoned", Name: "Abandoned"}
	_, err = f.store.Create(t.Context(), abandoned)
	require.NoError(t, err)
	f.now = f.now.Add(signup.GiveUpAfter + time.Second)
	require.NoError(t, f.Recover(t.Context()))
	removed, err := f.store.Find(t.Context(), tenant.ByID("abandoned"))
	require.NoError(t, err)
	assert.Equal(t, tenant.StatusDeleted, removed.Status)
	assert.False(t, f.homes.has("abandoned"))
	assert.True(t, f.homes.has(finished.ID), "the others are left alone")
}

func TestRecoverFinishesARemoval(t *testing.T) {
	t.Parallel()
	f := newFixture()
	made, err := f.SignUp(t.Context(), form())
	require.NoError(t, err)
	f.homes.setBroken(true)
	require.ErrorIs(t, f.Remove(t.Context(), made), errDisk)
	assert.True(t, f.homes.has(made.ID))

	f.homes.setBroken(false)
	require.NoError(t, f.Recover(t.Context()))
	assert.False(t, f.homes.has(made.ID))
}

func TestRemoveRefusesAChangedRecord(t *testing.T) {
	t.Parallel()
	f := newFixture()
	made, err := f.SignUp(t.Context(), form())
	require.NoError(t, err)
	stale := made
	stale.Version--
	require.ErrorIs(t, f.Remove(t.Context(), stale), tenant.ErrConflict)
	assert.True(t, f.homes.has(made.ID))
}
