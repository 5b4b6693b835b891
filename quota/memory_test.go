package quota_test

import (
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/quotatest"
)

// shared opens clients of one MemoryStore.
func shared() quotatest.Open {
	var store *quota.MemoryStore
	return func(now func() time.Time) quota.Store {
		if store == nil {
			store = quota.NewMemoryStore(now)
		}
		return store
	}
}

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	quotatest.TestStore(t, func(*testing.T) quotatest.Open { return shared() })
}
