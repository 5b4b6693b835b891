package quotatest

import (
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// keeper keeps one unit with each Taking that is carried out.
type keeper struct {
	*rig
	kept quota.Counter
}

func (k keeper) taking(remember time.Duration) quota.Taking {
	t := k.rig.taking()
	t.Returns, t.Remember = []quota.Return{{Counter: k.kept, Kept: 1}}, remember
	return t
}

// forget has a Taking of the tenant's forget the answer to t.
func (k keeper) forget(id tenant.ID, t quota.Taking) error {
	next := k.rig.taking()
	next.Tenant, next.Forget = id, t.ID
	_, err := k.Take(k.ctx, next)
	return err
}

// again repeats all, as another process with the same data, and returns an error unless
// so much is kept then.
func (k keeper) again(want int64, all ...quota.Taking) error {
	for _, t := range all {
		if _, err := k.open(k.now).Take(k.ctx, t); err != nil {
			return err
		}
	}
	if err := k.used(k.kept, want); err != nil {
		return fmt.Errorf("%v after the begin: %w", k.now().Sub(start), err)
	}
	return nil
}

// remembered repeats Takings just before their answers may be forgotten, and just after.
func remembered(r *rig) error {
	const moment = time.Millisecond
	k := keeper{r, holding(quota.Stock, "kept", quota.Unlimited)}
	short, brief := k.taking(0), k.taking(20*time.Second)
	day, told := k.taking(24*time.Hour), k.taking(7*24*time.Hour)
	at := func(since time.Duration) { r.clock.Store(start.Add(since).UnixNano()) }
	return first(
		func() error { return k.again(4, short, brief, day, told) },
		func() error { at(20*time.Second - moment); return k.again(4, brief) },
		func() error { return k.forget("acme", brief) }, // which does not lengthen it
		func() error { at(20 * time.Second); return k.again(5, brief) },
		func() error { at(time.Minute - moment); return k.again(5, short) },
		func() error { at(time.Minute); return k.again(6, short) },
		func() error { return k.forget(globex, day) }, // which is another Taking
		func() error { at(time.Hour); return k.again(6, day, told) },
		func() error { return k.forget("acme", told) },
		func() error { at(time.Hour + quota.AnswersFor - moment); return k.again(6, told) },
		func() error { at(time.Hour + quota.AnswersFor); return k.again(7, told) },
		func() error { at(24*time.Hour - moment); return k.again(7, day, told) },
		func() error { at(24 * time.Hour); return k.again(8, day) },
	)
}
