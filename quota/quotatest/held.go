package quotatest

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/quota"
)

func heldBounded(r *rig) error {
	c := holding(quota.Concurrent, "streams", 3)
	return first(
		func() error { return r.wants(c, 5, 3) },
		func() error { return r.refused(c, 1, quota.CauseBusy, time.Second) },
		func() error { return r.refused(c, 4, quota.CauseTooLarge, 0) },
		func() error { return r.back(quota.Return{Counter: c, N: 1}) },
		func() error { return r.wants(c, 2, 1) },
		func() error { return r.as("process-2").back(quota.Return{Counter: c, N: 3}) }, // holds nothing
		func() error { return r.used(c, 3) },
		func() error { return r.wants(holding(quota.Concurrent, "unlimited", quota.Unlimited), 5, 5) },
	)
}

// holderRig takes and returns as another process.
type holderRig struct {
	*rig
	holder string
}

func (r *rig) as(holder string) holderRig { return holderRig{r, holder} }

func (h holderRig) take(c quota.Counter, n int64) error {
	t := h.taking(quota.Charge{Counter: c, N: n})
	t.Holder = h.holder
	taken, err := h.Take(h.ctx, t)
	if err == nil && !taken.OK {
		err = fmt.Errorf("%+v", taken)
	}
	return err
}

func (h holderRig) back(returns ...quota.Return) error {
	t := h.taking()
	t.Holder, t.Returns = h.holder, returns
	_, err := h.Take(h.ctx, t)
	return err
}

func heldRunsOut(r *rig) error {
	c := holding(quota.Concurrent, "streams", 5)
	return first(
		func() error { return r.as("dead").take(c, 3) },
		func() error { r.advance(6 * time.Second); return r.as("alive").take(c, 2) },
		func() error { return r.used(c, 5) },
		func() error { r.advance(4*time.Second - time.Millisecond); return r.wants(c, 1, 0) },
		func() error { r.advance(time.Millisecond); return r.used(c, 2) },
		func() error { return r.as("alive").take(c, 1) }, // which also lengthens what it held before
		func() error { r.advance(9 * time.Second); return r.used(c, 3) },
		func() error { r.advance(time.Second); return r.used(c, 0) },
	)
}

func renewed(r *rig) error {
	c := holding(quota.Concurrent, "streams", 5)
	renew := func(holder string, n int64) func() error {
		return func() error {
			return r.Renew(r.ctx, holder, 10*time.Second, []quota.Held{{Tenant: "acme", Counter: c, N: n}})
		}
	}
	return first(
		func() error { return r.as("a").take(c, 2) },
		func() error { return r.as("b").take(c, 2) },
		func() error { r.advance(8 * time.Second); return nil },
		renew("a", 1),
		func() error { return r.used(c, 3) },
		func() error { r.advance(8 * time.Second); return r.used(c, 1) }, // b is gone
		renew("b", 6), // says what is so, even beyond the limit
		func() error { return r.used(c, 7) },
		func() error { return r.wants(c, 1, 0) },
		renew("b", 0),
		func() error { return r.used(c, 1) },
		renew("a", 1), renew("a", 1),
		func() error { return r.used(c, 1) },
	)
}

func stockKept(r *rig) error {
	c := holding(quota.Stock, "storage", 100)
	return first(
		func() error { return r.as("a").take(c, 70) },
		func() error { return r.refused(c, 31, quota.CauseStock, 0) },
		func() error { return r.as("a").back(quota.Return{Counter: c, N: 70, Kept: 50}) },
		func() error { return r.used(c, 50) },
		func() error { return r.as("b").take(c, 40) },
		func() error { return r.as("b").back(quota.Return{Counter: c, N: 40}) },
		func() error { return r.used(c, 50) },
		func() error { r.advance(time.Hour); return r.used(c, 50) },
		func() error { return r.back(quota.Return{Counter: c, Kept: 80}) }, // beyond the limit
		func() error { return r.used(c, 130) },
		func() error { return r.wants(c, 1, 0) },
		func() error { return r.back(quota.Return{Counter: c, Kept: -200}) },
		func() error { return r.used(c, 0) },
		func() error { return r.refused(c, 101, quota.CauseTooLarge, 0) },
	)
}

func reservationsRunOut(r *rig) error {
	c := holding(quota.Stock, "storage", 100)
	return first(
		func() error { return r.back(quota.Return{Counter: c, Kept: 10}) },
		func() error { return r.as("dead").take(c, 90) },
		func() error { return r.wants(c, 1, 0) },
		func() error { r.advance(10 * time.Second); return r.used(c, 10) },
		func() error { return r.as("alive").take(c, 90) },
	)
}

func stockExact(r *rig) error {
	c := holding(quota.Stock, "storage", 100)
	return first(
		func() error { return r.back(quota.Return{Counter: c, Kept: 60}) },
		func() error { return r.as("upload").take(c, 30) },
		func() error { return r.back(quota.Return{Counter: c, Kept: 20, Exact: true}) },
		func() error { return r.used(c, 50) },
		func() error { return r.back(quota.Return{Counter: c, Exact: true}) },
		func() error { return r.used(c, 30) },
	)
}

// likeMemory compares random runs with the store in memory.
func likeMemory(r *rig) error {
	for seed := range uint64(4) {
		if err := compareRun(r, seed); err != nil {
			return fmt.Errorf("run %d: %w", seed, err)
		}
	}
	return nil
}

var errDiffer = errors.New("the answers differ")
