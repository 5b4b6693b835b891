package envelope

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

// Shred destroys all keys of a tenant, and with them whatever was sealed with them,
// wherever a copy of it lies. The tombstone it returns is the first one, if there
// was one: it may be called again, and after a failure it must be. It wants a system
// context, whose reason the tombstone keeps.
//
// This process drops the keys, overwritten, before Shred returns; the others within
// their TTL. What backups of the store promise is said in the package's
// documentation.
func (k *Keys) Shred(ctx context.Context, id tenant.ID) (Tombstone, error) {
	reason, ok := tenant.SystemReason(ctx)
	if !ok {
		return Tombstone{}, ErrNotSystem
	}
	if err := id.Validate(); err != nil {
		return Tombstone{}, err
	}
	defer k.Forget(id)
	t := Tombstone{Tenant: id, At: stamp(k.config.now()), Reason: reason}
	if k.config.journal != nil { // first, so that a restored store is never without it
		if err := k.config.journal.Shred(ctx, t); err != nil {
			return Tombstone{}, failed("write the journal", err)
		}
	}
	if err := k.store.Shred(ctx, t); err != nil {
		return Tombstone{}, failed("destroy keys", err)
	}
	kept, found, err := k.store.Tombstone(ctx, id)
	switch {
	case err != nil:
		return Tombstone{}, failed("read the tombstone", err)
	case !found:
		return Tombstone{}, fmt.Errorf("%w: the store has no tombstone of %s after it was shredded", ErrUnavailable, id)
	}
	return kept, nil
}

// Reapply brings the tombstones of the store and the journal together: it destroys
// again what a restored backup of the store brought back, and tells a restored
// journal what it lost. It returns how many tombstones the store lacked. Call it
// after any restore, before tenants are served. It wants a system context and
// [WithJournal].
func (k *Keys) Reapply(ctx context.Context) (int, error) {
	if _, ok := tenant.SystemReason(ctx); !ok {
		return 0, ErrNotSystem
	}
	if k.config.journal == nil {
		return 0, errors.New("envelope: want a journal to apply (WithJournal)")
	}
	defer k.ForgetAll()
	n, err := bury(ctx, k.config.journal, k.store)
	if err != nil {
		return n, failed("apply the journal", err)
	}
	if _, err := bury(ctx, k.store, k.config.journal); err != nil {
		return n, failed("complete the journal", err)
	}
	return n, nil
}

// bury gives to every tombstone that from has. Those that to has already are given
// to it too, since it may have had keys restored beside them.
func bury(ctx context.Context, from, to Journal) (missing int, err error) {
	var after tenant.ID
	for {
		tombstones, err := from.Tombstones(ctx, after, pageSize)
		if err != nil || len(tombstones) == 0 {
			return missing, err
		}
		for _, t := range tombstones {
			_, found, err := to.Tombstone(ctx, t.Tenant)
			if err != nil {
				return missing, err
			}
			if err := to.Shred(ctx, t); err != nil {
				return missing, err
			}
			if !found {
				missing++
			}
			after = t.Tenant
		}
	}
}
