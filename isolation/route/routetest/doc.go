// Package routetest checks that a store of placements keeps its word.
//
//	func TestStore(t *testing.T) {
//		routetest.TestStore(t, func(t *testing.T) route.Store { return route.NewMemoryStore() })
//	}
package routetest
