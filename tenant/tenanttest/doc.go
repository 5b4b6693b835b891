// Package tenanttest checks implementations of tenant.Store, and gives a host's
// own tests a tenant to run as.
//
//	func TestStore(t *testing.T) {
//		tenanttest.TestStore(t, func(t *testing.T) tenant.Store { return mystore.New(...) })
//	}
//
// # Time
//
// A store keeps a deleted tenant's slug for a while. To have that checked,
// return a store whose clock the suite can move on: one with a method
// Advance(time.Duration), such as
//
//	clock := tenanttest.NewClock()
//	return struct {
//		tenant.Store
//		*tenanttest.Clock
//	}{mystore.New(mystore.WithClock(clock.Now)), clock}
package tenanttest
