package tenant

import "context"

// Store returns store, telling d of each change made through it, so that a new
// tenant is found at once and a suspended one refused at once by this process.
// Other processes hear of it by [Directory.Follow], or after the TTL.
func (d *Directory) Store(store Store) Store { return tellingStore{store, d} }

// tellingStore invalidates after failures too, since one may hide that the change
// was made.
type tellingStore struct {
	Store
	directory *Directory
}

func (s tellingStore) Create(ctx context.Context, t Tenant) (Tenant, error) {
	defer s.directory.Invalidate(t.ID)
	return s.Store.Create(ctx, t)
}

func (s tellingStore) Update(ctx context.Context, t Tenant) (Tenant, error) {
	defer s.directory.Invalidate(t.ID)
	return s.Store.Update(ctx, t)
}

func (s tellingStore) Delete(ctx context.Context, id ID, version int64) (Tenant, error) {
	defer s.directory.Invalidate(id)
	return s.Store.Delete(ctx, id, version)
}
