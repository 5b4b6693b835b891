package sqlquota

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/tenant"
)

// Source is a [quota.Source] on a SQL database. It is safe for concurrent use, by any
// number of processes. It keeps every version of the catalog.
type Source struct {
	database
	catalog atomic.Pointer[quota.Catalog] // the newest that was read
}

var _ quota.Source = (*Source)(nil)

// NewSource returns a source on db, which stays the caller's to close. It does not touch
// the database; call Migrate before first use. It may share the database with a [Store].
func NewSource(db *sql.DB, dialect Dialect) (*Source, error) {
	opened, err := newDatabase(db, dialect)
	if err != nil {
		return nil, err
	}
	return &Source{database: opened}, nil
}

// Catalog implements [quota.Source]. The database sends the document only if its version
// is not the one that was read last.
func (s *Source) Catalog(ctx context.Context) (*quota.Catalog, error) {
	known := s.catalog.Load()
	version := int64(0)
	if known != nil {
		version = known.Version()
	}
	var newest struct {
		Version  int64  `db:"version"`
		Document []byte `db:"document"`
	}
	err := s.db.GetContext(ctx, &newest, s.db.Rebind(`SELECT version, CASE WHEN version <> ? THEN document END AS document
		FROM tenancy_quota_catalogs ORDER BY version DESC LIMIT 1`), version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, fmt.Errorf("%w: sqlquota: no catalog was set", quota.ErrUnavailable)
	case err != nil:
		return nil, failed(ctx, "catalog", err)
	case newest.Version == version:
		return known, nil
	}
	catalog, err := quota.ParseCatalog(newest.Document)
	if err != nil {
		return nil, fmt.Errorf("%w: sqlquota: catalog %d: %w", quota.ErrUnavailable, newest.Version, err)
	}
	s.catalog.Store(catalog)
	return catalog, nil
}

// SetCatalog puts the catalog that document writes down in the place of the one before,
// whose version must be lower. Errors of the document wrap [quota.ErrInvalid].
func (s *Source) SetCatalog(ctx context.Context, document quota.Document) error {
	catalog, err := quota.NewCatalog(document)
	if err != nil {
		return err
	}
	data, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("%w: sqlquota: catalog: %w", quota.ErrInvalid, err)
	}
	return failed(ctx, "set catalog", s.exclusively(ctx, func(tx sqlSession) error {
		var newest int64
		if err := tx.GetContext(ctx, &newest, "SELECT coalesce(max(version), 0) FROM tenancy_quota_catalogs"); err != nil {
			return err
		}
		if catalog.Version() <= newest {
			return &quota.FieldError{Field: "version", Reason: fmt.Sprintf("want more than %d, the version there is, got %d", newest, catalog.Version())}
		}
		_, err := tx.ExecContext(ctx, s.db.Rebind("INSERT INTO tenancy_quota_catalogs (version, document) VALUES (?, ?)"), catalog.Version(), string(data))
		return err
	}))
}

// sqlSession is what *sqlx.Tx and *sqlx.Conn have in common.
type sqlSession interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	GetContext(ctx context.Context, dest any, query string, args ...any) error
}

// exclusively runs do in a transaction while no other one of this kind does.
func (s *Source) exclusively(ctx context.Context, do func(tx sqlSession) error) error {
	if s.dialect == SQLite {
		return s.write(ctx, func(tx *sqlx.Conn) error { return do(tx) })
	}
	tx, err := s.db.BeginTxx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()                                                             //nolint:errcheck // does nothing after the commit
	if _, err := tx.ExecContext(ctx, "SELECT tenancy_quota_lock('')"); err != nil { // no tenant's
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// overrideRow is an override as the database keeps it.
type overrideRow struct {
	Tenant    string        `db:"tenant"`
	ID        string        `db:"id"`
	Patch     []byte        `db:"patch"`
	Reason    string        `db:"reason"`
	ExpiresAt sql.NullInt64 `db:"expires_at"`
	Children  bool          `db:"children"`
	Version   int64         `db:"version"`
}

// Overrides implements [quota.Source].
func (s *Source) Overrides(ctx context.Context, id tenant.ID) ([]quota.Override, error) {
	var rows []overrideRow
	query := "SELECT tenant, id, patch, reason, expires_at, children, version FROM tenancy_quota_overrides WHERE tenant = ? ORDER BY id"
	if err := s.db.SelectContext(ctx, &rows, s.db.Rebind(query), string(id)); err != nil {
		return nil, failed(ctx, "overrides", err)
	}
	var overrides []quota.Override
	for _, row := range rows {
		o, err := row.override()
		if err != nil {
			return nil, fmt.Errorf("%w: sqlquota: override %s of tenant %s: %w", quota.ErrUnavailable, row.ID, id, err)
		}
		overrides = append(overrides, o)
	}
	return overrides, nil
}

func (r overrideRow) override() (quota.Override, error) {
	patch, err := quota.ParseDocument(r.Patch)
	if err != nil {
		return quota.Override{}, err
	}
	o := quota.Override{
		Tenant: tenant.ID(r.Tenant), ID: r.ID, Patch: patch, Reason: r.Reason, Children: r.Children, Version: r.Version,
	}
	if r.ExpiresAt.Valid {
		o.Expires = time.UnixMicro(r.ExpiresAt.Int64).UTC()
	}
	return o, nil
}

// SetOverride adds o, or puts it in the place of the one with its tenant and ID. Its end
// is kept to the microsecond. Errors of o wrap [quota.ErrInvalid].
func (s *Source) SetOverride(ctx context.Context, o quota.Override) error {
	if err := o.Validate(); err != nil {
		return err
	}
	for field, value := range map[string]string{"id": o.ID, "reason": o.Reason} {
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return &quota.FieldError{Field: field, Reason: "want UTF-8 without zero bytes"}
		}
	}
	patch, err := json.Marshal(o.Patch)
	if err != nil {
		return fmt.Errorf("%w: sqlquota: patch: %w", quota.ErrInvalid, err)
	}
	var expires sql.NullInt64
	if !o.Expires.IsZero() {
		expires = sql.NullInt64{Int64: o.Expires.UnixMicro(), Valid: true}
	}
	_, err = s.db.ExecContext(ctx, s.db.Rebind(`INSERT INTO tenancy_quota_overrides AS o
		(tenant, id, patch, reason, expires_at, children, version) VALUES (?, ?, ?, ?, ?, ?, 1)
		ON CONFLICT (tenant, id) DO UPDATE SET patch = excluded.patch, reason = excluded.reason,
		expires_at = excluded.expires_at, children = excluded.children, version = o.version + 1`),
		string(o.Tenant), o.ID, string(patch), o.Reason, expires, o.Children)
	return failed(ctx, "set override", err)
}

// RemoveOverride takes the override away, if it is there.
func (s *Source) RemoveOverride(ctx context.Context, id tenant.ID, override string) error {
	if !utf8.ValidString(override) || strings.ContainsRune(override, 0) {
		return nil
	}
	_, err := s.db.ExecContext(ctx, s.db.Rebind("DELETE FROM tenancy_quota_overrides WHERE tenant = ? AND id = ?"), string(id), override)
	return failed(ctx, "remove override", err)
}
