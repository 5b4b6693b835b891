// Package filestest checks that a store of files keeps its word, and its tenants apart.
//
//	func TestStore(t *testing.T) {
//		filestest.TestStore(t, func(t *testing.T, opts ...files.Option) files.Store {
//			store, err := files.NewMemory(opts...)
//			require.NoError(t, err)
//			return store
//		})
//	}
package filestest
