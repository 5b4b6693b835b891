package tenant

import (
	"fmt"
	"slices"
	"time"
)

// ForCreate returns t as [Store.Create] keeps it at the time now, or the error
// that Create owes its caller. It is for implementations of Store, which still
// have to check that ID, slug and domains are free, and that Parent exists.
func (t Tenant) ForCreate(now time.Time) (Tenant, error) {
	t = t.Clone()
	if t.Status == "" {
		t.Status = StatusProvisioning
	}
	if t.Status == StatusDeleted {
		return Tenant{}, invalid("Status", "a tenant cannot start as deleted")
	}
	if err := t.Validate(); err != nil {
		return Tenant{}, err
	}
	t.tidy()
	t.Version = 1
	t.CreatedAt, t.UpdatedAt, t.DeletedAt = stamp(now), stamp(now), time.Time{}
	return t, nil
}

// ForUpdate returns t as [Store.Update] keeps it in place of kept at the time
// now, or the error that Update owes its caller. It is for implementations of
// Store, which still have to check that slug and domains are free, and that
// Parent exists and closes no circle.
func (t Tenant) ForUpdate(kept Tenant, now time.Time) (Tenant, error) {
	t = t.Clone()
	if err := t.Validate(); err != nil {
		return Tenant{}, err
	}
	if err := kept.expect(t.Version); err != nil {
		return Tenant{}, err
	}
	if err := kept.Status.To(t.Status); err != nil {
		return Tenant{}, err
	}
	if t.Status == StatusDeleted {
		return Tenant{}, &TransitionError{From: kept.Status, To: t.Status}
	}
	t.tidy()
	t.Version++
	t.CreatedAt, t.UpdatedAt, t.DeletedAt = kept.CreatedAt, stamp(now), time.Time{}
	return t, nil
}

// ForDelete returns t as the tombstone that [Store.Delete] keeps in its place
// at the time now, or the error that Delete owes its caller. It is for
// implementations of Store, which still have to check that no tenant names t as
// its Parent.
func (t Tenant) ForDelete(version int64, now time.Time) (Tenant, error) {
	if err := t.expect(version); err != nil {
		return Tenant{}, err
	}
	t.Status = StatusDeleted
	t.Name, t.Contact, t.Domains, t.Settings = "", Contact{}, nil, nil
	t.Version++
	t.UpdatedAt, t.DeletedAt = stamp(now), stamp(now)
	return t, nil
}

// expect returns nil if t may be changed by who read version of it.
func (t Tenant) expect(version int64) error {
	if t.Status == StatusDeleted {
		return fmt.Errorf("%w: %s is deleted", ErrNotFound, t.ID)
	}
	if t.Version != version {
		return fmt.Errorf("%w: %s is at version %d, not %d; read it again", ErrConflict, t.ID, t.Version, version)
	}
	return nil
}

// tidy brings t, which is no one else's, into the one form that is kept.
func (t *Tenant) tidy() {
	slices.Sort(t.Domains)
	if len(t.Domains) == 0 {
		t.Domains = nil
	}
	if len(t.Settings) == 0 {
		t.Settings = nil
	}
}

// stamp returns now as it is kept.
func stamp(now time.Time) time.Time { return now.UTC().Truncate(time.Microsecond) }
