package quota_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// servers is a store with a server for each tenant, one of which hangs.
type servers struct {
	quota.Store
	hangs tenant.ID
}

func (s servers) Take(ctx context.Context, t quota.Taking) (quota.Taken, error) {
	if t.Tenant == s.hangs {
		<-ctx.Done()
		return quota.Taken{}, ctx.Err()
	}
	return s.Store.Take(ctx, t)
}

func (s servers) TakeBatch(ctx context.Context, takings []quota.Taking) []quota.Answer {
	answers := make([]quota.Answer, len(takings))
	for i, t := range takings {
		answers[i].Taken, answers[i].Err = s.Take(ctx, t)
	}
	return answers
}

func (s servers) Lane(_ context.Context, id tenant.ID) string { return string(id) }

// TestAServerThatHangsIsItsTenantsOwn has one tenant ask a server that hangs all the time,
// and another, who comes rarely, one that does not: also what is to close lets it in.
func TestAServerThatHangsIsItsTenantsOwn(t *testing.T) {
	t.Parallel()
	for _, limit := range []string{"strict", "exact"} {
		t.Run(limit, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				all := leasing(t, 1, servers{Store: quota.NewMemoryStore(time.Now), hangs: "sick"}, quota.WithLeasePatience(20*time.Millisecond))
				e := all[0]
				sick, err := e.Account(tenant.NewContext(t.Context(), tenant.Tenant{ID: "sick", Plan: "p"}))
				require.NoError(t, err)
				go func() {
					for range 6000 {
						sick.Take(t.Context(), e.Ref(limit), 1)
						time.Sleep(10 * time.Millisecond)
					}
				}()
				for range 15 {
					time.Sleep(3 * time.Second)
					d := acmeOf(t, e).Take(t.Context(), e.Ref(limit), 1)
					require.NoError(t, d.Err())
					assert.False(t, d.Degraded())
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				_ = e.Close(ctx) // the server that hangs does not hear
				time.Sleep(10 * time.Minute)
			})
		})
	}
}
