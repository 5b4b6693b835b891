package tenant_test

import (
	"testing"

	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

// clocked is a store whose clock the suite moves on.
type clocked struct {
	tenant.Store
	*tenanttest.Clock
}

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	tenanttest.TestStore(t, func(*testing.T) tenant.Store {
		clock := tenanttest.NewClock()
		return clocked{tenant.NewMemoryStore(tenant.WithMemoryClock(clock.Now)), clock}
	})
}

func TestMemoryStoreWatch(t *testing.T) {
	t.Parallel()
	tenanttest.TestWatcher(t, func(*testing.T) (tenant.Store, tenant.Watcher) {
		store := tenant.NewMemoryStore()
		return store, store
	})
}
