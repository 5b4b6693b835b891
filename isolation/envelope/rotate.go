package envelope

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tenancy-go/tenancy/tenant"
)

// stamp rounds a time to what every store can keep.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Rotate makes a new version of the context's tenant's key, which seals from now
// on, and returns its number. Older versions still open. Other processes seal with
// the new version within their TTL. Of several who rotate at once, one makes the
// version and all return it.
func (k *Keys) Rotate(ctx context.Context, p Purpose) (uint32, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return 0, err
	}
	if err := p.Validate(); err != nil {
		return 0, err
	}
	r, err := k.fresh(ctx, ringID{id, p})
	if err == nil {
		r, err = k.add(ctx, r, r.latest().Version)
	}
	if err != nil {
		return 0, err
	}
	return r.latest().Version, nil
}

// fresh returns a ring as the store has it now.
func (k *Keys) fresh(ctx context.Context, id ringID) (*ring, error) {
	r, cached, err := k.ring(ctx, id)
	if err == nil && cached {
		r, err = k.refresh(ctx, r)
	}
	return r, err
}

// Current returns the version of the context's tenant's key that this process seals
// with now; 0 if there is no key yet.
func (k *Keys) Current(ctx context.Context, p Purpose) (uint32, error) {
	return k.latestOf(ctx, p, func(ctx context.Context, id ringID) (*ring, error) {
		r, _, err := k.ring(ctx, id)
		return r, err
	})
}

// newest returns the version that the store has now.
func (k *Keys) newest(ctx context.Context, p Purpose) (uint32, error) {
	return k.latestOf(ctx, p, k.fresh)
}

func (k *Keys) latestOf(ctx context.Context, p Purpose, find func(context.Context, ringID) (*ring, error)) (uint32, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return 0, err
	}
	r, err := find(ctx, ringID{id, p})
	if err != nil {
		return 0, err
	}
	return r.latest().Version, nil
}

// Retire destroys the versions of the context's tenant's key below the given one, but
// never the newest, and returns how many. What is still sealed with them never opens
// again: call it after [Keys.Reencrypt] has left nothing behind in any table, and when no
// backup or archive from before is needed any more.
//
// A process may seal with an older version for a TTL after [Keys.Rotate]. Until then the
// error wraps [ErrTooSoon], by this process's TTL: give all processes the same, and
// re-encrypt once it is over.
func (k *Keys) Retire(ctx context.Context, p Purpose, below uint32) (int, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return 0, err
	}
	if err := p.Validate(); err != nil {
		return 0, err
	}
	r, err := k.fresh(ctx, ringID{id, p})
	if err != nil {
		return 0, err
	}
	if err := r.retirable(below, k.config.now().Add(-k.config.ttl)); err != nil {
		return 0, err
	}
	n, err := k.store.Remove(ctx, id, p, below)
	k.Forget(id)
	if err != nil {
		return 0, failed("retire keys", err)
	}
	return n, nil
}

// RewrapReport tells what [Keys.Rewrap] did so far.
type RewrapReport struct {
	Current   int       // data keys that were wrapped with the current wrapping key already
	Rewrapped int       // data keys moved to it
	Changed   int       // data keys that were shredded, retired or moved by another process meanwhile
	Failed    []Failure // data keys that the provider does not unwrap
}

// Failure is a data key that could not be moved.
type Failure struct {
	Binding Binding
	KeyID   string // of its wrapping key
	Err     error  // wraps ErrUnwrap or ErrUnknownKey
}

const (
	pageSize       = 200
	rewrapsAtATime = 8
)

// Rewrap moves every data key of all tenants that another wrapping key wraps to the
// provider's current one. No data is touched. A data key is replaced only once the
// new wrapping was seen to open. It wants a system context.
//
// It may be stopped and killed at any time; called again, it does what is left. It
// stops at the first failure of the provider or the store, and goes past data keys
// that are lost already, which the report lists. progress, unless nil, is called
// after each page of 200.
func (k *Keys) Rewrap(ctx context.Context, progress func(RewrapReport)) (RewrapReport, error) {
	var report RewrapReport
	current := k.provider.KeyID()
	err := k.eachPage(ctx, func(records []Record) error {
		if err := k.rewrapPage(ctx, records, current, &report); err != nil {
			return err
		}
		if progress != nil {
			progress(report)
		}
		return nil
	})
	return report, err
}

func (k *Keys) rewrapPage(ctx context.Context, records []Record, current string, report *RewrapReport) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rewrapsAtATime)
	for _, rec := range records {
		if rec.Wrapped.KeyID == current {
			report.Current++
			continue
		}
		group.Go(func() error {
			err := k.rewrap(ctx, rec)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				report.Rewrapped++
			case errors.Is(err, ErrConflict) || errors.Is(err, ErrShredded):
				report.Changed++
			case errors.Is(err, ErrUnwrap) || errors.Is(err, ErrUnknownKey):
				binding := Binding{rec.Tenant, rec.Purpose, rec.Version}
				report.Failed = append(report.Failed, Failure{Binding: binding, KeyID: rec.Wrapped.KeyID, Err: err})
			default:
				return err
			}
			return nil
		})
	}
	return group.Wait()
}

func (k *Keys) rewrap(ctx context.Context, rec Record) error {
	binding := Binding{rec.Tenant, rec.Purpose, rec.Version}
	raw, err := k.open(ctx, rec.Wrapped, binding)
	if err != nil {
		return err
	}
	defer clear(raw)
	wrapped, err := k.wrapAgain(ctx, rec.Wrapped, raw, binding)
	if err != nil {
		return failed("wrap", err)
	}
	check, err := k.open(ctx, wrapped, binding)
	if err != nil {
		return fmt.Errorf("%w: the provider does not unwrap what it wrapped with %s: %w", ErrUnavailable, wrapped.KeyID, err)
	}
	defer clear(check)
	if subtle.ConstantTimeCompare(raw, check) != 1 {
		return fmt.Errorf("%w: the provider wrapped another key than it was given", ErrUnavailable)
	}
	if err := k.store.Rewrap(ctx, rec, wrapped); err != nil {
		return failed("keep a wrapped key", err)
	}
	return nil
}

func (k *Keys) wrapAgain(ctx context.Context, w Wrapped, raw []byte, b Binding) (Wrapped, error) {
	if r, ok := k.provider.(Rewrapper); ok {
		return r.Rewrap(ctx, w, b)
	}
	return k.provider.Wrap(ctx, raw, b)
}

// WrappingKeys counts the data keys of all tenants by the wrapping key that wraps
// them. A wrapping key that is not in it may be destroyed. It wants a system
// context.
func (k *Keys) WrappingKeys(ctx context.Context) (map[string]int, error) {
	counts := make(map[string]int)
	err := k.eachPage(ctx, func(records []Record) error {
		for _, rec := range records {
			counts[rec.Wrapped.KeyID]++
		}
		return nil
	})
	return counts, err
}

// eachPage calls do with all records of all tenants, some at a time.
func (k *Keys) eachPage(ctx context.Context, do func([]Record) error) error {
	if _, ok := tenant.SystemReason(ctx); !ok {
		return ErrNotSystem
	}
	var after Position
	for {
		records, err := k.store.List(ctx, after, pageSize)
		if err != nil {
			return failed("list keys", err)
		}
		if len(records) == 0 {
			return nil
		}
		if err := do(records); err != nil {
			return err
		}
		after = records[len(records)-1].Position()
	}
}
