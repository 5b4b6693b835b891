package fleet

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
	"github.com/tenancy-go/tenancy/isolation"
)

// Kind is what tells homes apart whose tables look different.
type Kind string

// The kinds of homes. Their names are those of the folders of [Load].
const (
	Shared Kind = "shared" // PostgreSQL tables with rows of many tenants
	Own    Kind = "own"    // PostgreSQL tables of one tenant, in a schema or database
	SQLite Kind = "sqlite" // a SQLite file of one tenant
)

var kinds = []Kind{Shared, Own, SQLite}

// kindOf returns the kind of a home.
func kindOf(h isolation.Home) (Kind, error) {
	switch {
	case h.Dialect == "sqlite" && !h.Shared:
		return SQLite, nil
	case h.Dialect == "postgres" && h.Shared:
		return Shared, nil
	case h.Dialect == "postgres":
		return Own, nil
	default:
		return "", fmt.Errorf("fleet: homes of dialect %q, shared: %t, are unknown", h.Dialect, h.Shared)
	}
}

// Conn is a home's connection as a [Function] may use it. It is in a transaction.
type Conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Function is a migration written in Go. It takes its place among the files by its
// version, with a transaction of its own in each home.
//
// A strategy's Provision and Migrate know nothing of it, so that a home they made
// may have later files already: Up must work there too.
type Function struct {
	Version int64
	Name    string
	Up      func(ctx context.Context, conn Conn, home isolation.Home) error
}

// Migrations is what makes homes of each kind, in order of their versions. It does
// not change.
type Migrations struct {
	sets     map[Kind]*set
	versions []int64
}

// Latest returns the highest version.
func (m *Migrations) Latest() int64 { return m.versions[len(m.versions)-1] }

// Versions returns all versions, in order.
func (m *Migrations) Versions() []int64 { return slices.Clone(m.versions) }

// set is the migrations of one kind of home.
type set struct {
	steps []step
	err   error // why homes of the kind cannot be migrated
}

// step is one migration.
type step struct {
	version    int64
	name       string
	statements []string
	function   *Function
	noTx       bool
	sum        string // checksum of all up to this one
}

// Load reads migrations as github.com/pressly/goose does: files named
// 00001_name.sql, with statements after a line "-- +goose Up". They lie at fsys's
// root if they fit every home, or else in the folders "shared", "own" and
// "sqlite", one for each [Kind] in use, with the same versions in all of them.
//
// A statement that begins or ends a transaction is refused, except in a file
// marked "-- +goose NO TRANSACTION".
func Load(fsys fs.FS, functions ...Function) (*Migrations, error) {
	if fsys == nil {
		return nil, errors.New("fleet: load: want a file system, not nil")
	}
	if err := checkFunctions(functions); err != nil {
		return nil, fmt.Errorf("fleet: load: %w", err)
	}
	m := &Migrations{sets: map[Kind]*set{}}
	folders, err := foldersIn(fsys)
	if err != nil {
		return nil, fmt.Errorf("fleet: load: %w", err)
	}
	for _, kind := range kinds {
		m.sets[kind] = loadKind(fsys, kind, folders, functions)
	}
	if err := m.agree(folders); err != nil {
		return nil, fmt.Errorf("fleet: load: %w", err)
	}
	return m, nil
}

func checkFunctions(functions []Function) error {
	for _, f := range functions {
		if f.Version < 1 || f.Up == nil {
			return fmt.Errorf("function %q: want a version of at least 1, and Up", f.Name)
		}
	}
	return nil
}

// foldersIn returns which kinds have a folder. Beside folders there are no files.
func foldersIn(fsys fs.FS) (map[Kind]bool, error) {
	folders := map[Kind]bool{}
	for _, kind := range kinds {
		info, err := fs.Stat(fsys, string(kind))
		if err == nil && info.IsDir() {
			folders[kind] = true
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	files, err := fs.Glob(fsys, "*.sql")
	if err == nil && len(folders) > 0 && len(files) > 0 {
		return nil, fmt.Errorf("%s lies beside folders for kinds of homes; put it into each of them", files[0])
	}
	return folders, err
}

func loadKind(fsys fs.FS, kind Kind, folders map[Kind]bool, functions []Function) *set {
	if len(folders) > 0 && !folders[kind] {
		return &set{err: fmt.Errorf("fleet: there is no folder %q of migrations for this kind of home", kind)}
	}
	if folders[kind] {
		sub, err := fs.Sub(fsys, string(kind))
		if err != nil {
			return &set{err: err}
		}
		fsys = sub
	}
	steps, err := record(fsys)
	if err == nil {
		steps, err = withFunctions(steps, functions)
	}
	if err == nil {
		err = checkTransactions(steps, kind)
	}
	if err != nil {
		return &set{err: fmt.Errorf("migrations of kind %s: %w", kind, err)}
	}
	addSums(steps)
	return &set{steps: steps}
}

func withFunctions(steps []step, functions []Function) ([]step, error) {
	for _, f := range functions {
		steps = append(steps, step{version: f.Version, name: f.Name, function: &f})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return int(a.version - b.version) })
	for i := 1; i < len(steps); i++ {
		if steps[i].version == steps[i-1].version {
			return nil, fmt.Errorf("version %d is there twice: %s and %s", steps[i].version, steps[i-1].name, steps[i].name)
		}
	}
	if len(steps) == 0 {
		return nil, errors.New("there is neither a file nor a function; want files such as 00001_name.sql")
	}
	return steps, nil
}

func checkTransactions(steps []step, kind Kind) error {
	find := sqlguard.PostgresTransaction
	if kind == SQLite {
		find = sqlguard.SQLiteTransaction
	}
	for _, s := range steps {
		for _, statement := range s.statements {
			if found := find(statement); found != "" && !s.noTx {
				return fmt.Errorf("%s: %s would cut the migration's own transaction; "+
					"remove it, or mark the file -- +goose NO TRANSACTION", s.name, found)
			}
		}
	}
	return nil
}

// addSums sets the checksums, each over the one before.
func addSums(steps []step) {
	before := ""
	for i, s := range steps {
		h := sha256.New()
		fmt.Fprintf(h, "%s %d %t %t", before, s.version, s.noTx, s.function != nil)
		if s.function != nil {
			fmt.Fprintf(h, " %q", s.name)
		}
		for _, statement := range s.statements {
			fmt.Fprintf(h, " %q", strings.TrimSpace(statement))
		}
		before = hex.EncodeToString(h.Sum(nil)[:16])
		steps[i].sum = before
	}
}

// agree sets the versions, which are the same for all kinds. Files at the root that
// fit one kind of home at least are fine: homes of others are refused when met.
func (m *Migrations) agree(folders map[Kind]bool) error {
	var failed error
	for _, kind := range kinds {
		s := m.sets[kind]
		switch {
		case s.err != nil && (folders[kind] || failed == nil):
			if folders[kind] {
				return s.err
			}
			failed = s.err
		case s.err != nil:
		case m.versions == nil:
			m.versions = s.versions()
		case !slices.Equal(m.versions, s.versions()):
			return fmt.Errorf("folder %s has versions %v, and another has %v; each version needs a file in each folder, if one with nothing but -- +goose Up",
				kind, s.versions(), m.versions)
		}
	}
	if m.versions == nil {
		return failed
	}
	return nil
}

func (s *set) versions() []int64 {
	versions := make([]int64, len(s.steps))
	for i, step := range s.steps {
		versions[i] = step.version
	}
	return versions
}

// sumAt returns the checksum of all up to version, or "" if there is no such
// version.
func (s *set) sumAt(version int64) string {
	for _, step := range s.steps {
		if step.version == version {
			return step.sum
		}
	}
	return ""
}

// upTo returns the steps up to target.
func (s *set) upTo(target int64) []step {
	n := 0
	for n < len(s.steps) && s.steps[n].version <= target {
		n++
	}
	return s.steps[:n]
}
