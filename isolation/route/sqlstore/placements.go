package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

const columns = "tenant_id, cell, region, state, other, version"

// row is a row of tenancy_placements.
type row struct {
	Tenant  string `db:"tenant_id"`
	Cell    string `db:"cell"`
	Region  string `db:"region"`
	State   string `db:"state"`
	Other   string `db:"other"`
	Version int64  `db:"version"`
}

func (r row) placement() route.Placement {
	return route.Placement{
		Tenant: tenant.ID(r.Tenant), Cell: r.Cell, Region: r.Region,
		State: route.State(r.State), Other: r.Other, Version: r.Version,
	}
}

// Find implements [route.Store].
func (s *Store) Find(ctx context.Context, id tenant.ID) (route.Placement, error) {
	var r row
	err := s.get(ctx, &r, "SELECT "+columns+" FROM tenancy_placements WHERE tenant_id = ?", string(id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return route.Placement{}, route.ErrUnplaced
	case err != nil:
		return route.Placement{}, failed(ctx, "find", err)
	}
	return r.placement(), nil
}

// Create implements [route.Store].
func (s *Store) Create(ctx context.Context, p route.Placement) (route.Placement, error) {
	if err := p.Validate(); err != nil {
		return route.Placement{}, err
	}
	err := s.get(ctx, &p.Version,
		"INSERT INTO tenancy_placements ("+columns+") VALUES (?, ?, ?, ?, ?, "+s.next+") ON CONFLICT DO NOTHING RETURNING version",
		string(p.Tenant), p.Cell, p.Region, string(p.State), p.Other)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return route.Placement{}, route.ErrPlaced
	case err != nil:
		return route.Placement{}, failed(ctx, "create", err)
	}
	return p, nil
}

// Update implements [route.Store].
func (s *Store) Update(ctx context.Context, p route.Placement) (route.Placement, error) {
	if err := p.Validate(); err != nil {
		return route.Placement{}, err
	}
	read := p
	err := s.get(ctx, &p.Version,
		"UPDATE tenancy_placements SET cell = ?, region = ?, state = ?, other = ?, version = "+s.next+
			" WHERE tenant_id = ? AND version = ? AND (region = ? OR region = '' OR ? = '') RETURNING version",
		p.Cell, p.Region, string(p.State), p.Other, string(p.Tenant), p.Version, p.Region, p.Region)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return route.Placement{}, s.why(ctx, read)
	case err != nil:
		return route.Placement{}, failed(ctx, "update", err)
	}
	return p, nil
}

// Delete implements [route.Store].
func (s *Store) Delete(ctx context.Context, id tenant.ID, version int64) error {
	var deleted int64
	err := s.get(ctx, &deleted, "DELETE FROM tenancy_placements WHERE tenant_id = ? AND version = ? RETURNING version", string(id), version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s.why(ctx, route.Placement{Tenant: id, Version: version})
	case err != nil:
		return failed(ctx, "delete", err)
	}
	return nil
}

// why says what kept p, as it was read, from being changed.
func (s *Store) why(ctx context.Context, p route.Placement) error {
	kept, err := s.Find(ctx, p.Tenant)
	if err != nil {
		return err
	}
	if err := p.Follows(kept); err != nil {
		return err
	}
	return route.ErrConflict // and whoever was in the way has gone meanwhile
}

// List implements [route.Store].
func (s *Store) List(ctx context.Context, q route.Query) ([]route.Placement, error) {
	q, err := q.Check()
	if err != nil {
		return nil, err
	}
	where, args := "tenant_id > ?", []any{string(q.After)}
	if q.Cell != "" {
		where, args = where+" AND (cell = ? OR other = ?)", append(args, q.Cell, q.Cell)
	}
	var rows []row
	query := s.db.Rebind("SELECT " + columns + " FROM tenancy_placements WHERE " + where + " ORDER BY tenant_id LIMIT ?")
	if err := s.db.SelectContext(ctx, &rows, query, append(args, q.Limit)...); err != nil {
		return nil, failed(ctx, "list", err)
	}
	found := make([]route.Placement, len(rows))
	for i, r := range rows {
		found[i] = r.placement()
	}
	return found, nil
}

func (s *Store) get(ctx context.Context, dest any, query string, args ...any) error {
	return s.db.GetContext(ctx, dest, s.db.Rebind(query), args...)
}

// failed says what failed. Drivers say in many ways that a context has ended.
func failed(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("route/sqlstore: %s: %w", what, cause)
	}
	return fmt.Errorf("route/sqlstore: %s: %w", what, err)
}
