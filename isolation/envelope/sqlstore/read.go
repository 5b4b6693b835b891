package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// Load implements [envelope.Store].
func (s *Store) Load(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
	var rows []row
	// One statement, so that keys are never seen without the tombstone that comes
	// with their end.
	err := s.db.SelectContext(ctx, &rows, s.db.Rebind(`
		SELECT `+columns+` FROM tenancy_envelope_keys WHERE tenant_id = ? AND purpose = ?
			AND NOT EXISTS (SELECT 1 FROM tenancy_envelope_tenants WHERE tenant_id = ? AND shredded_at IS NOT NULL)
		ORDER BY version`), string(id), string(p), string(id))
	if err != nil {
		return nil, failed(ctx, "load", err)
	}
	if len(rows) == 0 {
		if _, gone, err := s.Tombstone(ctx, id); err != nil || gone {
			return nil, errors.Join(err, shredded(gone))
		}
	}
	return records(rows), nil
}

func shredded(gone bool) error {
	if gone {
		return envelope.ErrShredded
	}
	return nil
}

// List implements [envelope.Store].
func (s *Store) List(ctx context.Context, after envelope.Position, limit int) ([]envelope.Record, error) {
	var rows []row
	err := s.db.SelectContext(ctx, &rows, s.db.Rebind(`
		SELECT `+columns+` FROM tenancy_envelope_keys WHERE (tenant_id, purpose, version) > (?, ?, ?)
		ORDER BY tenant_id, purpose, version LIMIT ?`), string(after.Tenant), string(after.Purpose), int64(after.Version), limit)
	if err != nil {
		return nil, failed(ctx, "list", err)
	}
	return records(rows), nil
}

// Tombstone implements [envelope.Journal].
func (s *Store) Tombstone(ctx context.Context, id tenant.ID) (envelope.Tombstone, bool, error) {
	var g grave
	err := s.db.GetContext(ctx, &g, s.db.Rebind(`
		SELECT tenant_id, shredded_at, reason FROM tenancy_envelope_tenants WHERE tenant_id = ? AND shredded_at IS NOT NULL`), string(id))
	if errors.Is(err, sql.ErrNoRows) {
		return envelope.Tombstone{}, false, nil
	}
	if err != nil {
		return envelope.Tombstone{}, false, failed(ctx, "tombstone", err)
	}
	return g.tombstone(), true, nil
}

// Tombstones implements [envelope.Journal].
func (s *Store) Tombstones(ctx context.Context, after tenant.ID, limit int) ([]envelope.Tombstone, error) {
	var graves []grave
	err := s.db.SelectContext(ctx, &graves, s.db.Rebind(`
		SELECT tenant_id, shredded_at, reason FROM tenancy_envelope_tenants
		WHERE shredded_at IS NOT NULL AND tenant_id > ? ORDER BY tenant_id LIMIT ?`), string(after), limit)
	if err != nil {
		return nil, failed(ctx, "tombstones", err)
	}
	var found []envelope.Tombstone
	for _, g := range graves {
		found = append(found, g.tombstone())
	}
	return found, nil
}

// failed returns err as this package's, or the reason why ctx ended: drivers tell of
// that in ways of their own.
func failed(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("sqlstore: %s: %w", what, cause)
	}
	return fmt.Errorf("sqlstore: %s: %w", what, err)
}
