// Package quotatest checks implementations of the interfaces of package quota.
//
//	func TestStore(t *testing.T) {
//		quotatest.TestStore(t, func(t *testing.T) quotatest.Open {
//			data := …                                            // empty
//			return func(now func() time.Time) quota.Store { … }  // a client of data, which takes the time from now
//		})
//	}
//
// The suite holds a store to the comments of [quota.Store], with several clients of the
// same data, and compares long random runs with [quota.MemoryStore]. [CheckStore] returns
// what fails instead of failing a test: so the suite itself can be tested with stores
// that are wrong on purpose.
package quotatest
