package sqlstore_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/sqlstore"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

// withNames returns the i-th tenant, with a slug and domains of its own.
func withNames(t testing.TB, i int) tenant.Tenant {
	acme := tenanttest.Tenant(t, tenant.ID(fmt.Sprintf("t-%d", i)))
	for n := range 5 {
		acme.Domains = append(acme.Domains, fmt.Sprintf("d%d.t-%d.example.org", n, i))
	}
	return acme
}

// A server that is killed while tenants are made leaves each of them whole or
// not at all, and none that was reported as made is missing.
func TestPostgresKilledMidway(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	dsn := server.Open(t).URL()
	store := newStore(t, open(t, "postgres", dsn), sqlstore.Postgres)

	var created sync.Map
	var next, done atomic.Int64
	var group sync.WaitGroup
	half := make(chan struct{})
	for range 8 {
		group.Go(func() {
			for {
				i := int(next.Add(1))
				if _, err := store.Create(t.Context(), withNames(t, i)); err != nil {
					return
				}
				created.Store(i, true)
				if done.Add(1) == 50 {
					close(half)
				}
			}
		})
	}
	<-half
	server.Kill()
	group.Wait()
	server.Start()

	fresh := newStore(t, open(t, "postgres", dsn), sqlstore.Postgres)
	for i := 1; i <= int(next.Load()); i++ {
		_, reported := created.Load(i)
		assertWhole(t, fresh, withNames(t, i), reported)
	}
}

// assertWhole checks that the tenant is there under all its names or under none.
func assertWhole(t *testing.T, store tenant.Store, want tenant.Tenant, mustExist bool) {
	t.Helper()
	_, err := store.Find(t.Context(), tenant.ByID(want.ID))
	exists := err == nil
	if !exists {
		require.ErrorIs(t, err, tenant.ErrNotFound)
		require.False(t, mustExist, "%s was reported as made", want.ID)
	}
	refs := []tenant.Ref{tenant.BySlug(want.Slug)}
	for _, domain := range want.Domains {
		refs = append(refs, tenant.ByDomain(domain))
	}
	for _, ref := range refs {
		got, err := store.Find(t.Context(), ref)
		if exists {
			require.NoError(t, err)
			assert.Equal(t, want.ID, got.ID)
			continue
		}
		assert.ErrorIs(t, err, tenant.ErrNotFound)
	}
}

// A SQLite transaction that is given up leaves its connection fit for the next.
func TestSQLiteGivenUpMidway(t *testing.T) {
	t.Parallel()
	store, dsn := newSQLite(t)
	db := open(t, "sqlite", dsn)
	db.SetMaxOpenConns(1)
	single := newStore(t, db, sqlstore.SQLite)
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(cancel)
		_, err := single.Create(ctx, withNames(t, i))
		group.Wait()
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
		}
		assertWhole(t, store, withNames(t, i), err == nil)
	}
	_, err := single.Create(t.Context(), tenanttest.Tenant(t, "last"))
	require.NoError(t, err)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	db := open(t, "sqlite", ":memory:")
	_, err := sqlstore.New(nil, sqlstore.SQLite)
	require.Error(t, err)
	_, err = sqlstore.New(db, 0)
	require.Error(t, err)
	for _, opt := range []sqlstore.Option{sqlstore.WithClock(nil), sqlstore.WithSlugRetention(-1), sqlstore.WithPollInterval(0)} {
		_, err = sqlstore.New(db, sqlstore.SQLite, opt)
		require.Error(t, err)
	}
}

// The default keeps a slug for 90 days, to the microsecond.
func TestSlugRetention(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	store, _ := newSQLite(t, sqlstore.WithClock(clock.Now))
	_, err := store.Create(t.Context(), tenanttest.Tenant(t, "acme"))
	require.NoError(t, err)
	_, err = store.Delete(t.Context(), "acme", 1)
	require.NoError(t, err)
	heir := tenanttest.Tenant(t, "heir")
	heir.Slug = "acme"

	clock.Advance(tenant.DefaultSlugRetention - 1000)
	_, err = store.Create(t.Context(), heir)
	require.ErrorIs(t, err, tenant.ErrExists)
	_, err = store.Find(t.Context(), tenant.BySlug("acme"))
	require.NoError(t, err)
	clock.Advance(1000)
	_, err = store.Find(t.Context(), tenant.BySlug("acme"))
	require.ErrorIs(t, err, tenant.ErrNotFound)
	_, err = store.Create(t.Context(), heir)
	require.NoError(t, err)
}
