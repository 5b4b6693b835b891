package fleet

import (
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed" // for the catalog queries
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
	"github.com/tenancy-go/tenancy/tenant"
)

var (
	//go:embed catalog/postgres.sql
	catalogPostgres string
	//go:embed catalog/sqlite.sql
	catalogSQLite string
)

// Snapshot is the schema of a home as its database tells it: tables, columns,
// constraints, indexes, sequences, views, functions, triggers, policies, types,
// owners and grants, with the home's own name and roles left out. It may be kept as
// JSON, as a reference for later.
type Snapshot struct {
	Kind Kind `json:"kind"`
	// Objects has definitions by kind and name, such as "column orders.total". The
	// order of columns is not part of it.
	Objects map[string]string `json:"objects"`
}

// Fingerprint is equal for equal schemas.
func (s Snapshot) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", s.Kind)
	for _, name := range slices.Sorted(maps.Keys(s.Objects)) {
		fmt.Fprintf(h, "%q %q\n", name, s.Objects[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Snapshot reads the schema of t's home.
func (f *Fleet) Snapshot(ctx context.Context, t tenant.Tenant) (Snapshot, error) {
	var s Snapshot
	err := f.administer(ctx, t, func(ctx context.Context, conn *sql.Conn, home isolation.Home, inside func() error) (err error) {
		if err := inside(); err != nil {
			return err
		}
		if s.Kind, err = kindOf(home); err != nil {
			return err
		}
		if home.Dialect == "sqlite" {
			s.Objects, err = readObjects(ctx, conn, strings.Clone, catalogSQLite, home.Versions)
			return err
		}
		s.Objects, err = postgresObjects(ctx, conn, home)
		return err
	})
	return s, err
}

func postgresObjects(ctx context.Context, conn *sql.Conn, home isolation.Home) (map[string]string, error) {
	role := ""
	neutral := strings.Clone
	if len(home.Schemas) == 0 {
		return nil, fmt.Errorf("fleet: the home of key %s has no schema", home.Key)
	}
	if !home.Shared {
		var oid uint32
		err := conn.QueryRowContext(ctx, `SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`).Scan(&oid)
		if err != nil {
			return nil, err
		}
		role = pghome.Shorten(fmt.Sprintf("%s_%d", home.Schemas[0], oid)) // as package schema names it
		neutral = withoutSchema(home.Schemas[0])
	}
	return readObjects(ctx, conn, neutral, catalogPostgres, pq.Array(home.Schemas), home.Versions, role)
}

// withoutSchema returns a function that takes the name of a home's schema from where
// PostgreSQL writes it before other names.
func withoutSchema(schema string) func(string) string {
	name := regexp.QuoteMeta(schema)
	quoted := regexp.QuoteMeta(pq.QuoteIdentifier(schema))
	before := regexp.MustCompile(`(^|[^\w."$])(?:` + name + `|` + quoted + `)\.`)
	return func(text string) string { return before.ReplaceAllString(text, "$1") }
}

func readObjects(ctx context.Context, conn *sql.Conn, neutral func(string) string, query string, args ...any) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("fleet: read the catalog: %w", err)
	}
	defer rows.Close() // rows.Err tells
	objects := map[string]string{}
	for rows.Next() {
		var kind, name, definition string
		if err := rows.Scan(&kind, &name, &definition); err != nil {
			return nil, fmt.Errorf("fleet: read the catalog: %w", err)
		}
		objects[kind+" "+neutral(name)] = squeeze(neutral(definition))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("fleet: read the catalog: %w", err)
	}
	return objects, nil
}

// squeeze makes each run of white space one blank. Text in quotes that differs in
// white space alone is not told apart.
func squeeze(definition string) string {
	return strings.TrimSuffix(strings.Join(strings.Fields(definition), " "), ";")
}
