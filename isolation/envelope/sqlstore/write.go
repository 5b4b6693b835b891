package sqlstore

import (
	"context"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// Create implements [envelope.Store].
func (s *Store) Create(ctx context.Context, r envelope.Record) error {
	return s.write(ctx, func(tx session) error {
		if err := s.lock(ctx, tx, r.Tenant); err != nil {
			return err
		}
		var latest uint32
		err := tx.GetContext(ctx, &latest, s.db.Rebind(
			"SELECT coalesce(max(version), 0) FROM tenancy_envelope_keys WHERE tenant_id = ? AND purpose = ?"), string(r.Tenant), string(r.Purpose))
		if err != nil {
			return failed(ctx, "create", err)
		}
		if r.Version != latest+1 {
			return fmt.Errorf("%w: version %d follows %d", envelope.ErrConflict, r.Version, latest)
		}
		_, err = s.exec(ctx, tx, "create", "INSERT INTO tenancy_envelope_keys ("+columns+") VALUES (?, ?, ?, ?, ?, ?)",
			string(r.Tenant), string(r.Purpose), int64(r.Version), r.Wrapped.KeyID, r.Wrapped.Blob, s.stamp(r.Created))
		return err
	})
}

// lock keeps others from adding or destroying keys of the tenant until tx ends. It
// fails if the tenant has a tombstone.
func (s *Store) lock(ctx context.Context, tx session, id tenant.ID) error {
	_, err := s.exec(ctx, tx, "lock", "INSERT INTO tenancy_envelope_tenants (tenant_id) VALUES (?) ON CONFLICT (tenant_id) DO NOTHING", string(id))
	if err != nil {
		return err
	}
	query := "SELECT shredded_at IS NOT NULL FROM tenancy_envelope_tenants WHERE tenant_id = ?"
	if s.dialect == Postgres {
		query += " FOR UPDATE"
	}
	var gone bool
	if err := tx.GetContext(ctx, &gone, s.db.Rebind(query), string(id)); err != nil {
		return failed(ctx, "lock", err)
	}
	return shredded(gone)
}

// Rewrap implements [envelope.Store].
func (s *Store) Rewrap(ctx context.Context, old envelope.Record, wrapped envelope.Wrapped) error {
	n, err := s.exec(ctx, s.db, "rewrap", `UPDATE tenancy_envelope_keys SET key_id = ?, wrapped = ?
		WHERE tenant_id = ? AND purpose = ? AND version = ? AND key_id = ? AND wrapped = ?`,
		wrapped.KeyID, wrapped.Blob, string(old.Tenant), string(old.Purpose), int64(old.Version), old.Wrapped.KeyID, old.Wrapped.Blob)
	if err == nil && n == 0 {
		return envelope.ErrConflict
	}
	return err
}

// Remove implements [envelope.Store].
func (s *Store) Remove(ctx context.Context, id tenant.ID, p envelope.Purpose, below uint32) (int, error) {
	n, err := s.exec(ctx, s.db, "remove", `DELETE FROM tenancy_envelope_keys WHERE tenant_id = ? AND purpose = ? AND version < ?
		AND version < (SELECT max(k.version) FROM tenancy_envelope_keys k WHERE k.tenant_id = ? AND k.purpose = ?)`,
		string(id), string(p), int64(below), string(id), string(p))
	return int(n), err
}

// Shred implements [envelope.Journal].
func (s *Store) Shred(ctx context.Context, t envelope.Tombstone) error {
	return s.write(ctx, func(tx session) error {
		_, err := s.exec(ctx, tx, "shred", `INSERT INTO tenancy_envelope_tenants (tenant_id, shredded_at, reason) VALUES (?, ?, ?)
			ON CONFLICT (tenant_id) DO UPDATE SET shredded_at = excluded.shredded_at, reason = excluded.reason
			WHERE tenancy_envelope_tenants.shredded_at IS NULL`, string(t.Tenant), s.stamp(t.At), t.Reason)
		if err != nil {
			return err
		}
		// A conflict locks the row even if it is not changed, so no key is added now.
		_, err = s.exec(ctx, tx, "shred", "DELETE FROM tenancy_envelope_keys WHERE tenant_id = ?", string(t.Tenant))
		return err
	})
}
