package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

func deleteLeaves(ctx context.Context, s tenant.Store) error {
	kept, err := create(ctx, s, rich("acme"))
	if err != nil {
		return err
	}
	got, err := s.Delete(ctx, "acme", 1)
	if err != nil {
		return err
	}
	want := tenant.Tenant{
		ID: "acme", Slug: "acme", Plan: kept.Plan, Region: kept.Region, Status: tenant.StatusDeleted, Version: 2,
		CreatedAt: kept.CreatedAt, UpdatedAt: got.DeletedAt, DeletedAt: got.DeletedAt,
	}
	return steps(
		func() error { return same("delete", got, want) },
		func() error { return checkTime("DeletedAt", got.DeletedAt) },
		func() error { return finds(ctx, s, tenant.ByID("acme"), want) },
		func() error { return finds(ctx, s, tenant.BySlug("acme"), want) },
		func() error { return findsNone(ctx, s, tenant.ByDomain("acme.example.org")) })
}

func deleteRefuses(ctx context.Context, s tenant.Store) error {
	if _, err := create(ctx, s, active("acme")); err != nil {
		return err
	}
	for _, id := range append(malformedIDs(), "unknown") {
		_, err := s.Delete(ctx, id, 1)
		if err := wantErr(fmt.Sprintf("delete %q", id), err, tenant.ErrNotFound); err != nil {
			return err
		}
	}
	for _, version := range []int64{-1, 0, 2} {
		_, err := s.Delete(ctx, "acme", version)
		if err := wantErr(fmt.Sprintf("delete version %d, with 1 kept", version), err, tenant.ErrConflict); err != nil {
			return err
		}
	}
	gone, err := s.Delete(ctx, "acme", 1)
	if err != nil {
		return err
	}
	_, err = s.Delete(ctx, "acme", gone.Version)
	if err := wantErr("delete of a deleted tenant", err, tenant.ErrNotFound); err != nil {
		return err
	}
	revived := active("acme")
	revived.Version = gone.Version
	_, err = s.Update(ctx, revived)
	if err := wantErr("update of a deleted tenant", err, tenant.ErrNotFound); err != nil {
		return err
	}
	return finds(ctx, s, tenant.ByID("acme"), gone)
}

func tombstoneKeeps(ctx context.Context, s tenant.Store) error {
	if _, err := createDeleted(ctx, s, rich("acme")); err != nil {
		return err
	}
	again := active("acme")
	again.Slug = "acme-2"
	_, err := s.Create(ctx, again)
	if err := wantField("create with a deleted tenant's ID", err, "ID", tenant.ErrExists); err != nil {
		return err
	}
	if a, ok := s.(advancer); ok {
		a.Advance(time.Hour)
	}
	heir := active("heir")
	heir.Slug = "acme"
	_, err = s.Create(ctx, heir)
	if err := wantField("create with a deleted tenant's slug", err, "Slug", tenant.ErrExists); err != nil {
		return err
	}
	other, err := create(ctx, s, active("other"))
	if err != nil {
		return err
	}
	other.Slug = "acme"
	_, err = s.Update(ctx, other)
	return wantField("update to a deleted tenant's slug", err, "Slug", tenant.ErrExists)
}

func tombstoneFrees(ctx context.Context, s tenant.Store) error {
	if _, err := createDeleted(ctx, s, rich("acme")); err != nil {
		return err
	}
	heir := active("heir")
	heir.Domains = []string{"acme.example.org"}
	heir, err := create(ctx, s, heir)
	if err != nil {
		return err
	}
	return finds(ctx, s, tenant.ByDomain("acme.example.org"), heir)
}

// slugExpires moves the clock on by more than any store keeps a slug.
func slugExpires(ctx context.Context, s tenant.Store) error {
	clock, ok := s.(advancer)
	if !ok {
		return errors.New("no clock to move on")
	}
	gone, err := createDeleted(ctx, s, rich("acme"))
	if err != nil {
		return err
	}
	live, err := create(ctx, s, active("live"))
	if err != nil {
		return err
	}
	clock.Advance(100 * 365 * 24 * time.Hour)

	again := active("acme")
	again.Slug = "acme-2"
	heir := active("heir")
	heir.Slug = "acme"
	_, idErr := s.Create(ctx, again)
	return steps(
		func() error { return findsNone(ctx, s, tenant.BySlug("acme")) },
		func() error { return finds(ctx, s, tenant.ByID("acme"), gone) },
		func() error { return finds(ctx, s, tenant.BySlug("live"), live) },
		func() error { return wantField("create with a deleted tenant's ID", idErr, "ID", tenant.ErrExists) },
		func() (err error) { heir, err = create(ctx, s, heir); return err },
		func() error { return finds(ctx, s, tenant.BySlug("acme"), heir) },
		func() error { return finds(ctx, s, tenant.ByID("acme"), gone) })
}

func createDeleted(ctx context.Context, s tenant.Store, t tenant.Tenant) (tenant.Tenant, error) {
	t, err := create(ctx, s, t)
	if err != nil {
		return t, err
	}
	return s.Delete(ctx, t.ID, t.Version)
}

func child(id, parent tenant.ID) tenant.Tenant {
	t := active(id)
	t.Parent = parent
	return t
}

func parentsExist(ctx context.Context, s tenant.Store) error {
	if _, err := createDeleted(ctx, s, active("gone")); err != nil {
		return err
	}
	top, err := create(ctx, s, active("top"))
	if err != nil {
		return err
	}
	for _, parent := range []tenant.ID{"unknown", "gone"} {
		_, err := s.Create(ctx, child("child", parent))
		if err := wantField("create under "+string(parent), err, "Parent", tenant.ErrInvalid); err != nil {
			return err
		}
		moved := top
		moved.Parent = parent
		_, err = s.Update(ctx, moved)
		if err := wantField("update to be under "+string(parent), err, "Parent", tenant.ErrInvalid); err != nil {
			return err
		}
	}
	if err := findsNone(ctx, s, tenant.ByID("child")); err != nil {
		return err
	}
	_, err = create(ctx, s, child("child", "top"))
	return err
}

func parentsCircle(ctx context.Context, s tenant.Store) error {
	if _, err := create(ctx, s, active("a"), child("b", "a"), child("c", "b"), child("d", "c")); err != nil {
		return err
	}
	a, err := s.Find(ctx, tenant.ByID("a"))
	if err != nil {
		return err
	}
	for _, parent := range []tenant.ID{"a", "b", "c", "d"} {
		moved := a
		moved.Parent = parent
		_, err := s.Update(ctx, moved)
		if err := wantField(fmt.Sprintf("move a under %s, which is below a", parent), err, "Parent", tenant.ErrInvalid); err != nil {
			return err
		}
	}
	c, err := s.Find(ctx, tenant.ByID("c"))
	if err != nil {
		return err
	}
	c.Parent = "a"
	if _, err = s.Update(ctx, c); err != nil {
		return fmt.Errorf("move c from b to a: %w", err)
	}
	return nil
}

func parentsOutlive(ctx context.Context, s tenant.Store) error {
	if _, err := create(ctx, s, active("top"), child("below", "top")); err != nil {
		return err
	}
	_, err := s.Delete(ctx, "top", 1)
	if err := wantField("delete a parent", err, "Parent", tenant.ErrInvalid); err != nil {
		return err
	}
	if _, err := s.Delete(ctx, "below", 1); err != nil {
		return err
	}
	if _, err := s.Delete(ctx, "top", 1); err != nil {
		return fmt.Errorf("delete a parent of deleted tenants: %w", err)
	}
	return nil
}
