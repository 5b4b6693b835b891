package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Create implements [tenant.Store].
func (s *Store) Create(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	now := s.now()
	t, err := t.ForCreate(now)
	if err != nil {
		return tenant.Tenant{}, err
	}
	err = s.write(ctx, func(tx session) error {
		if err := s.insert(ctx, tx, t); err != nil {
			return err
		}
		if err := s.checkParent(ctx, tx, t); err != nil {
			return err
		}
		return s.claim(ctx, tx, tenant.Tenant{}, t, now)
	})
	if err != nil {
		return tenant.Tenant{}, err
	}
	return t, nil
}

// Update implements [tenant.Store].
func (s *Store) Update(ctx context.Context, t tenant.Tenant) (tenant.Tenant, error) {
	if err := t.Validate(); err != nil {
		return tenant.Tenant{}, err
	}
	now := s.now()
	var updated tenant.Tenant
	err := s.write(ctx, func(tx session) error {
		kept, err := s.lock(ctx, tx, t.ID)
		if err != nil {
			return err
		}
		if updated, err = t.ForUpdate(kept, now); err != nil {
			return err
		}
		if updated.Parent != kept.Parent {
			if err := s.checkParent(ctx, tx, updated); err != nil {
				return err
			}
		}
		if err := s.claim(ctx, tx, kept, updated, now); err != nil {
			return err
		}
		return s.replace(ctx, tx, kept, updated)
	})
	if err != nil {
		return tenant.Tenant{}, err
	}
	return updated, nil
}

// Delete implements [tenant.Store].
func (s *Store) Delete(ctx context.Context, id tenant.ID, version int64) (tenant.Tenant, error) {
	if err := id.Validate(); err != nil {
		return tenant.Tenant{}, fmt.Errorf("%w: %w", tenant.ErrNotFound, err)
	}
	now := s.now()
	var gone tenant.Tenant
	err := s.write(ctx, func(tx session) error {
		kept, err := s.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if gone, err = kept.ForDelete(version, now); err != nil {
			return err
		}
		if err := s.checkChildless(ctx, tx, id); err != nil {
			return err
		}
		if err := s.replace(ctx, tx, kept, gone); err != nil {
			return err
		}
		return s.exec(ctx, tx, "UPDATE tenancy_tenant_names SET until = ? WHERE kind = 'slug' AND name = ?", s.stamp(now.Add(s.retention)), gone.Slug)
	})
	if err != nil {
		return tenant.Tenant{}, err
	}
	return gone, nil
}

func (s *Store) insert(ctx context.Context, tx session, t tenant.Tenant) error {
	values, err := s.values(t)
	if err != nil {
		return err
	}
	n, err := s.affected(ctx, tx, "INSERT INTO tenancy_tenants ("+strings.Join(columns, ", ")+") VALUES (?"+
		strings.Repeat(", ?", len(columns)-1)+") ON CONFLICT (id) DO NOTHING", values...)
	if err == nil && n == 0 {
		return taken("ID", string(t.ID))
	}
	return err
}

// replace writes t over kept, and lets go of the domains that t has no more. It
// comes after claim: names are taken in one order by all, and released last, so
// that no two writers wait for each other.
func (s *Store) replace(ctx context.Context, tx session, kept, t tenant.Tenant) error {
	values, err := s.values(t)
	if err != nil {
		return err
	}
	n, err := s.affected(ctx, tx, "UPDATE tenancy_tenants SET "+strings.Join(columns, " = ?, ")+" = ? WHERE id = ? AND version = ?",
		append(values, string(t.ID), kept.Version)...)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: %s; read it again", tenant.ErrConflict, t.ID)
	}
	return s.release(ctx, tx, kept, t)
}

// lock returns the tenant, and keeps others from changing it until tx ends.
func (s *Store) lock(ctx context.Context, tx session, id tenant.ID) (tenant.Tenant, error) {
	if s.dialect == Postgres {
		// The row is read by a statement of its own: one that waits for a lock
		// sees other tables as they were before.
		if err := s.exec(ctx, tx, "SELECT FROM tenancy_tenants WHERE id = ? FOR UPDATE", string(id)); err != nil {
			return tenant.Tenant{}, err
		}
	}
	return s.get(ctx, tx, "t.id = ?", string(id))
}

// claim takes the names of t that kept has not, unless another tenant has them.
func (s *Store) claim(ctx context.Context, tx session, kept, t tenant.Tenant, now time.Time) error {
	if t.Slug != kept.Slug {
		if err := s.claimName(ctx, tx, "slug", t.Slug, t.ID, now); err != nil {
			return err
		}
	}
	for _, domain := range t.Domains { // sorted
		if slices.Contains(kept.Domains, domain) {
			continue
		}
		if err := s.claimName(ctx, tx, "domain", domain, t.ID, now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) claimName(ctx context.Context, tx session, kind, name string, id tenant.ID, now time.Time) error {
	n, err := s.affected(ctx, tx, `INSERT INTO tenancy_tenant_names (kind, name, tenant_id, until) VALUES (?, ?, ?, NULL)
		ON CONFLICT (kind, name) DO UPDATE SET tenant_id = excluded.tenant_id, until = NULL
		WHERE tenancy_tenant_names.until <= ?`, kind, name, string(id), s.stamp(now))
	if err == nil && n == 0 {
		return taken(map[string]string{"slug": "Slug", "domain": "Domains"}[kind], name)
	}
	return err
}

// release frees the names of kept that t has not.
func (s *Store) release(ctx context.Context, tx session, kept, t tenant.Tenant) error {
	const remove = "DELETE FROM tenancy_tenant_names WHERE kind = ? AND name = ? AND tenant_id = ?"
	if t.Slug != kept.Slug {
		if err := s.exec(ctx, tx, remove, "slug", kept.Slug, string(t.ID)); err != nil {
			return err
		}
	}
	for _, domain := range kept.Domains {
		if slices.Contains(t.Domains, domain) {
			continue
		}
		if err := s.exec(ctx, tx, remove, "domain", domain, string(t.ID)); err != nil {
			return err
		}
	}
	return nil
}

// checkParent returns nil if t's parent exists and is not below t.
func (s *Store) checkParent(ctx context.Context, tx session, t tenant.Tenant) error {
	if t.Parent == "" {
		return nil
	}
	if err := s.lockFamily(ctx, tx); err != nil {
		return err
	}
	parent, err := s.get(ctx, tx, "t.id = ?", string(t.Parent))
	if errors.Is(err, tenant.ErrNotFound) || err == nil && parent.Status == tenant.StatusDeleted {
		return refused("Parent", "no tenant %s", t.Parent)
	}
	if err != nil {
		return err
	}
	var below bool
	err = tx.GetContext(ctx, &below, s.db.Rebind(`
		WITH RECURSIVE above (id) AS (
			SELECT parent FROM tenancy_tenants WHERE id = ?
			UNION SELECT t.parent FROM tenancy_tenants t JOIN above ON t.id = above.id
		) SELECT EXISTS (SELECT 1 FROM above WHERE id = ?)`), string(t.Parent), string(t.ID))
	if err != nil {
		return failed(ctx, "look above", err)
	}
	if below {
		return refused("Parent", "%s is below %s", t.Parent, t.ID)
	}
	return nil
}

func (s *Store) checkChildless(ctx context.Context, tx session, id tenant.ID) error {
	if err := s.lockFamily(ctx, tx); err != nil {
		return err
	}
	var parent bool
	err := tx.GetContext(ctx, &parent, s.db.Rebind(
		"SELECT EXISTS (SELECT 1 FROM tenancy_tenants WHERE parent = ? AND parent <> '' AND status <> 'deleted')"), string(id))
	if err != nil {
		return failed(ctx, "look below", err)
	}
	if parent {
		return refused("Parent", "%s has tenants below it; delete or move them first", id)
	}
	return nil
}

// familyLock is the advisory lock under which parents are changed: "tenants" in
// ASCII.
const familyLock = 0x74656e616e7473

// lockFamily keeps others from changing who is below whom until tx ends. It is
// taken after the tenant's own row and before any name. On SQLite the
// transaction itself does that.
func (s *Store) lockFamily(ctx context.Context, tx session) error {
	if s.dialect == SQLite {
		return nil
	}
	return s.exec(ctx, tx, "SELECT pg_advisory_xact_lock(?)", int64(familyLock))
}

func (s *Store) exec(ctx context.Context, tx session, query string, args ...any) error {
	_, err := s.affected(ctx, tx, query, args...)
	return err
}

func (s *Store) affected(ctx context.Context, tx session, query string, args ...any) (int64, error) {
	result, err := tx.ExecContext(ctx, s.db.Rebind(query), args...)
	if err != nil {
		return 0, failed(ctx, "write", err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, failed(ctx, "write", err)
	}
	return n, nil
}

func taken(field, name string) error {
	return &tenant.FieldError{Field: field, Reason: name + " is taken; choose another", Err: tenant.ErrExists}
}

func refused(field, format string, args ...any) error {
	return &tenant.FieldError{Field: field, Reason: fmt.Sprintf(format, args...), Err: tenant.ErrInvalid}
}
