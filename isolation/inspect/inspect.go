package inspect

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// DB is a *sql.DB, a *sqlx.DB or a *sql.Conn.
type DB interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// Run inspects target in the database that db is connected to, in one read-only
// transaction of a few statements. An error means that it could not look; what
// it found is in the report.
func Run(ctx context.Context, db DB, target Target, opts ...Option) (*Report, error) {
	c, err := configure(target, opts)
	if err != nil {
		return nil, err
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("isolation/inspect: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // it only read
	return c.run(ctx, tx, target)
}

// run does the work of Run.
func (c *config) run(ctx context.Context, tx *sql.Tx, target Target) (*Report, error) {
	report, err := c.report(ctx, tx, target)
	if err != nil {
		return nil, fmt.Errorf("isolation/inspect: %w", err)
	}
	return report, nil
}

func (c *config) report(ctx context.Context, tx *sql.Tx, target Target) (*Report, error) {
	s, err := look(ctx, tx, target.roles, c.column)
	if err != nil {
		return nil, err
	}
	if target.kind == schemas && len(c.homes) == 0 {
		if c.homes, err = registry(ctx, tx); err != nil {
			return nil, err
		}
	}
	lints := applicable(target.kind, c.injection, s.version)
	found, err := ask(ctx, tx, statement(target.kind, lints), c.argument(target, s), lints)
	if err != nil {
		return nil, err
	}
	report := &Report{
		Database: s.database, Server: s.server, Strategy: target.kind.String(), Roles: target.roles,
		Lints: len(lints), Findings: []Finding{}, Suppressed: []Suppressed{}, Unused: []Suppression{},
	}
	report.sort(found, c.suppressions)
	if target.kind != databases {
		report.Tables, err = tables(ctx, tx, target.kind, c.argument(target, s))
	}
	return report, err
}

// tables counts the tables that the lints looked at.
func tables(ctx context.Context, tx *sql.Tx, k kind, argument string) (n int, err error) {
	counted := []Lint{{query: `SELECT count(*)::text, '', '' FROM ten`}}
	found, err := ask(ctx, tx, statement(k, counted), argument, counted)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(found[0].Object)
}

// session is what the first statements find out.
type session struct {
	database string
	server   string // as people write versions
	version  int    // such as 150018
	column   string // the tenant column, quoted if need be
	policies []condition
}

// condition is a policy, with what it says as PostgreSQL writes it.
type condition struct {
	policy       int64
	command      string
	using, check string
}

const sessionQuery = `SELECT current_database(), current_setting('server_version'), current_setting('server_version_num')::int, quote_ident($2::text),
	(SELECT coalesce(string_agg(x, ', '), '') FROM jsonb_array_elements_text($1::text::jsonb) x WHERE x NOT IN (SELECT rolname::text FROM pg_roles))`

// Without anything but the catalog in the search_path, expressions and names
// read the same everywhere.
//
// JIT would compile each of the lints, which takes longer than running them.
const (
	enterCatalog = `SET LOCAL search_path = pg_catalog, pg_temp`
	withoutJIT   = `SET LOCAL jit = off`
)

func look(ctx context.Context, tx *sql.Tx, roles []string, column string) (session, error) {
	for _, setting := range []string{enterCatalog, withoutJIT} {
		if _, err := tx.ExecContext(ctx, setting); err != nil {
			return session{}, err
		}
	}
	var s session
	var missing string
	err := tx.QueryRowContext(ctx, sessionQuery, toJSON(roles), column).Scan(&s.database, &s.server, &s.version, &s.column, &missing)
	switch {
	case err != nil:
		return s, err
	case missing != "":
		return s, fmt.Errorf("there is no role %s on this server", missing)
	case s.version < oldest:
		return s, fmt.Errorf("PostgreSQL %s gets no fixes any more, and lacks what the lints ask for: want 14 or later", s.server)
	}
	s.policies, err = policies(ctx, tx)
	return s, err
}

// oldest is the server_version_num from which on Run works.
const oldest = 140000

const policiesQuery = `SELECT oid::int8, polcmd::text, coalesce(pg_get_expr(polqual, polrelid), ''),
	coalesce(pg_get_expr(polwithcheck, polrelid), pg_get_expr(polqual, polrelid), '') FROM pg_policy`

func policies(ctx context.Context, tx *sql.Tx) ([]condition, error) {
	rows, err := tx.QueryContext(ctx, policiesQuery)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []condition
	for rows.Next() {
		var c condition
		if err := rows.Scan(&c.policy, &c.command, &c.using, &c.check); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// registry reads the homes that isolation/schema made.
func registry(ctx context.Context, tx *sql.Tx) ([]Home, error) {
	var exists bool
	if err := tx.QueryRowContext(ctx, `SELECT to_regclass('tenancy.homes') IS NOT NULL`).Scan(&exists); err != nil {
		return nil, err
	}
	if !exists {
		return nil, errors.New("there is no registry tenancy.homes: use the database that isolation/schema prepared, or the option Homes")
	}
	rows, err := tx.QueryContext(ctx, `SELECT schema_name, role_name, owner_name FROM tenancy.homes`)
	if err != nil {
		return nil, fmt.Errorf("read the registry (as the administrative role): %w", err)
	}
	defer rows.Close()
	var homes []Home
	for rows.Next() {
		var h Home
		if err := rows.Scan(&h.Name, &h.Role, &h.Owner); err != nil {
			return nil, err
		}
		homes = append(homes, h)
	}
	return homes, rows.Err()
}

// argument is what the queries know beside the catalogs. It is JSON, so that
// every driver can send it.
func (c *config) argument(target Target, s session) string {
	type reading struct {
		Policy int64   `json:"policy"`
		Using  binding `json:"using"`
		Check  binding `json:"check"`
	}
	readings := make([]reading, len(s.policies))
	for i, p := range s.policies {
		r := reading{Policy: p.policy, Using: bound, Check: bound} // as it is for commands that have no such condition
		if p.command != "a" {
			r.Using = bind(p.using, s.column)
		}
		if p.command != "r" && p.command != "d" {
			r.Check = bind(p.check, s.column)
		}
		readings[i] = r
	}
	homes := c.homes
	if homes == nil {
		homes = []Home{}
	}
	return toJSON(map[string]any{
		"roles": target.roles, "prefix": target.prefix, "column": c.column, "tables": c.tables, "homes": homes,
		"version": s.version, "policies": readings,
	})
}

// toJSON never fails for what it is given here.
func toJSON(v any) string {
	text, _ := json.Marshal(v) // strings, numbers, slices and maps of them
	return string(text)
}

// ask runs the lints.
func ask(ctx context.Context, tx *sql.Tx, query, argument string, lints []Lint) ([]Finding, error) {
	byID := make(map[string]Lint, len(lints))
	for _, l := range lints {
		byID[l.ID] = l
	}
	rows, err := tx.QueryContext(ctx, query, argument)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Finding
	for rows.Next() {
		var id string
		var object, detail, remedy sql.NullString
		if err := rows.Scan(&id, &object, &detail, &remedy); err != nil {
			return nil, err
		}
		l := byID[id]
		found = append(found, Finding{
			Lint: id, Severity: l.Severity, Object: object.String, Title: l.Title, Detail: detail.String, Why: l.Why, Remedy: remedy.String,
		})
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(found, compare)
	return slices.Compact(found), nil
}

// compare puts the worst first.
func compare(a, b Finding) int {
	return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Lint, b.Lint), cmp.Compare(a.Object, b.Object),
		cmp.Compare(a.Detail, b.Detail), cmp.Compare(a.Remedy, b.Remedy))
}
