package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/tenant"
)

// session is what *sqlx.DB, *sqlx.Tx and *sqlx.Conn have in common.
type session interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// Find implements [tenant.Finder].
func (s *Store) Find(ctx context.Context, ref tenant.Ref) (tenant.Tenant, error) {
	if err := ref.Validate(); err != nil {
		return tenant.Tenant{}, fmt.Errorf("%w: %w", tenant.ErrNotFound, err)
	}
	where, args := "t.id = ?", []any{ref.Name()}
	switch ref.Kind() {
	case tenant.KindSlug:
		where, args = byName+" AND (until IS NULL OR until > ?))", []any{"slug", ref.Name(), s.stamp(s.now())}
	case tenant.KindDomain:
		where, args = byName+")", []any{"domain", ref.Name()}
	case tenant.KindID:
	}
	return s.get(ctx, s.db, where, args...)
}

const byName = "t.id = (SELECT tenant_id FROM tenancy_tenant_names WHERE kind = ? AND name = ?"

// get returns the tenant that where selects, or ErrNotFound.
func (s *Store) get(ctx context.Context, db session, where string, args ...any) (tenant.Tenant, error) {
	var r row
	err := db.GetContext(ctx, &r, s.db.Rebind(s.selectFrom()+" WHERE "+where), args...)
	if errors.Is(err, sql.ErrNoRows) {
		return tenant.Tenant{}, tenant.ErrNotFound
	}
	if err != nil {
		return tenant.Tenant{}, failed(ctx, "find", err)
	}
	return r.tenant()
}

// selectFrom is the beginning of a query for rows; the table's alias is t.
func (s *Store) selectFrom() string {
	aggregate := "string_agg"
	if s.dialect == SQLite {
		aggregate = "group_concat"
	}
	return "SELECT t." + strings.Join(columns, ", t.") +
		", coalesce((SELECT " + aggregate + "(n.name, ' ') FROM tenancy_tenant_names n WHERE n.tenant_id = t.id AND n.kind = 'domain'), '') AS domains" +
		" FROM tenancy_tenants t"
}

// List implements [tenant.Store].
func (s *Store) List(ctx context.Context, q tenant.Query) (tenant.Page, error) {
	q, after, err := q.Check()
	if err != nil {
		return tenant.Page{}, err
	}
	query, args, err := s.listQuery(q, after)
	if err != nil {
		return tenant.Page{}, err
	}
	var rows []row
	if err := s.db.SelectContext(ctx, &rows, query, args...); err != nil {
		return tenant.Page{}, failed(ctx, "list", err)
	}
	tenants := make([]tenant.Tenant, 0, len(rows))
	for _, r := range rows {
		t, err := r.tenant()
		if err != nil {
			return tenant.Page{}, err
		}
		tenants = append(tenants, t)
	}
	return q.Page(tenants), nil
}

// listQuery selects the page of q that begins after a position, and one tenant
// more. Each order has an index, in which the page is a range.
func (s *Store) listQuery(q tenant.Query, after tenant.Position) (string, []any, error) {
	where, args := s.filters(q)
	key, place := s.order(q, after)
	if after.ID != "" {
		compare := " > "
		if q.Desc {
			compare = " < "
		}
		where = append(where, "("+strings.Join(key, ", ")+")"+compare+"(?"+strings.Repeat(", ?", len(key)-1)+")")
		args = append(args, place...)
	}
	direction := ""
	if q.Desc {
		direction = " DESC"
	}
	query := s.selectFrom() + " WHERE " + strings.Join(where, " AND ") +
		" ORDER BY " + strings.Join(key, direction+", ") + direction + " LIMIT ?"
	query, args, err := sqlx.In(query, append(args, q.Limit+1)...)
	if err != nil {
		return "", nil, fmt.Errorf("sqlstore: list: %w", err)
	}
	return s.db.Rebind(query), args, nil
}

// order returns the columns that q sorts by, and their values at a position.
func (s *Store) order(q tenant.Query, at tenant.Position) (key []string, place []any) {
	id := string(at.ID)
	switch q.Sort {
	case tenant.SortSlug:
		return []string{"t.slug", "t.id"}, []any{at.Text, id}
	case tenant.SortName:
		return []string{"t.name", "t.id"}, []any{at.Text, id}
	case tenant.SortCreated:
		return []string{"t.created_at", "t.id"}, []any{s.stamp(at.Time), id}
	case tenant.SortUpdated:
		return []string{"t.updated_at", "t.id"}, []any{s.stamp(at.Time), id}
	case tenant.SortID:
	}
	return []string{"t.id"}, []any{id}
}

func (s *Store) filters(q tenant.Query) (where []string, args []any) {
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if len(q.Status) == 0 {
		add("t.status <> 'deleted'")
	} else {
		add("t.status IN (?)", q.Status)
	}
	if q.Plan != "" {
		add("t.plan = ?", q.Plan)
	}
	if q.Region != "" {
		add("t.region = ?", q.Region)
	}
	if q.Parent != "" {
		add("t.parent = ? AND t.parent <> ''", string(q.Parent)) // the second part lets the partial index be used
	}
	if q.Search != "" {
		find := "strpos"
		if s.dialect == SQLite {
			find = "instr"
		}
		part := tenant.FoldASCII(q.Search)
		add(fmt.Sprintf("(%[1]s(t.id, ?) > 0 OR %[1]s(t.slug, ?) > 0 OR %[1]s(lower(t.name), ?) > 0)", find), part, part, part)
	}
	return where, args
}

// failed returns err as this package's, or the reason why ctx ended: drivers
// tell of that in ways of their own.
func failed(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("sqlstore: %s: %w", what, cause)
	}
	return fmt.Errorf("sqlstore: %s: %w", what, err)
}
