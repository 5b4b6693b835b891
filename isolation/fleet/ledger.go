package fleet

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
	"github.com/tenancy-go/tenancy/tenant"
)

// Dialect is the SQL that the control database speaks.
type Dialect = sqlkit.Dialect

// The dialects of the control database.
const (
	OnPostgres = sqlkit.Postgres // PostgreSQL 14 or later
	OnSQLite   = sqlkit.SQLite   // SQLite 3.35 or later
)

// versionTable is where Migrate records what it applied.
const versionTable = "tenancy_fleet_version"

//go:embed migrations
var migrations embed.FS

// Ledger keeps, in the control database, how far each home has come. It is safe
// for concurrent use, by any number of processes.
//
// It is a record of what is in the homes, not the other way round: what counts for
// a migration is the version table in the home itself. A ledger that was lost is
// written anew by the next run, which then visits every home.
type Ledger struct {
	db      *sqlx.DB
	dialect Dialect
	runner  sync.Mutex // stands for the lock where the database is in memory
}

// NewLedger returns a ledger in db, which stays the caller's to close and reaches
// the server without a transaction pooler between. It does not touch the database;
// call [Ledger.Migrate] before first use.
func NewLedger(db *sql.DB, dialect Dialect) (*Ledger, error) {
	if db == nil {
		return nil, errors.New("fleet: want a control database, not nil")
	}
	bind, ok := map[Dialect]string{OnPostgres: "postgres", OnSQLite: "sqlite3"}[dialect]
	if !ok {
		return nil, fmt.Errorf("fleet: unknown dialect %s; want OnPostgres or OnSQLite", dialect)
	}
	return &Ledger{db: sqlx.NewDb(db, bind), dialect: dialect}, nil
}

// Migrate makes the ledger's own table, or brings it up to date. Any number of
// processes may call it at once, and again.
func (l *Ledger) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations/"+l.dialect.String())
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	return sqlkit.Migrate(ctx, l.db.DB, l.dialect, files, versionTable)
}

// State is how the last visit to a home went.
type State string

// The states of a home.
const (
	Running     State = "running"     // a runner is at it, or was killed at it
	Migrated    State = "migrated"    // it has all migrations of the last run
	Failed      State = "failed"      // the next run tries again
	Quarantined State = "quarantined" // nobody tries until Release
)

// Entry is a home in the ledger.
type Entry struct {
	Home     string    `db:"home_key"`
	Tenant   tenant.ID `db:"tenant_id"` // empty if tenants share the home
	Kind     Kind      `db:"kind"`
	Version  int64     `db:"version"`  // all migrations up to it are applied
	Checksum string    `db:"checksum"` // of these
	State    State     `db:"state"`
	Error    string    `db:"error"`    // of the last run
	Attempts int       `db:"attempts"` // runs that failed since the last that did not
	Started  time.Time `db:"-"`
	Finished time.Time `db:"-"` // zero while the first run is under way
}

type entryRow struct {
	Entry
	StartedAt  stamp `db:"started_at"`
	FinishedAt stamp `db:"finished_at"`
}

// Entries returns the homes that are in one of the states, or all of them without
// any, by tenant.
func (l *Ledger) Entries(ctx context.Context, states ...State) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		query, args := `SELECT home_key, tenant_id, kind, version, checksum, state, error, attempts, started_at, finished_at
			FROM tenancy_fleet_homes`, []any(nil)
		if len(states) > 0 {
			var err error
			if query, args, err = sqlx.In(query+" WHERE state IN (?)", states); err != nil {
				yield(Entry{}, failed(ctx, "list homes", err))
				return
			}
		}
		rows, err := l.db.QueryxContext(ctx, l.db.Rebind(query+" ORDER BY tenant_id, home_key"), args...)
		if err != nil {
			yield(Entry{}, failed(ctx, "list homes", err))
			return
		}
		defer rows.Close() // rows.Err tells
		for rows.Next() {
			var r entryRow
			if err = rows.StructScan(&r); err != nil {
				break
			}
			r.Started, r.Finished = r.StartedAt.Time, r.FinishedAt.Time
			if !yield(r.Entry, nil) {
				return
			}
		}
		if err = errors.Join(err, rows.Err()); err != nil {
			yield(Entry{}, failed(ctx, "list homes", err))
		}
	}
}

// Quarantine keeps runs away from a home that the ledger knows, by its tenant's ID
// or, for a shared one, its key. It reports whether there was one.
func (l *Ledger) Quarantine(ctx context.Context, home, reason string) (bool, error) {
	return l.update(ctx, "quarantine", `UPDATE tenancy_fleet_homes SET state = 'quarantined', error = ?
		WHERE (tenant_id = ? OR home_key = ?)`, reason, home, home)
}

// Release lets runs at a quarantined home again. It reports whether there was one.
func (l *Ledger) Release(ctx context.Context, home string) (bool, error) {
	return l.update(ctx, "release", `UPDATE tenancy_fleet_homes SET state = 'failed', attempts = 0
		WHERE (tenant_id = ? OR home_key = ?) AND state = 'quarantined'`, home, home)
}

// Forget removes what the ledger knows of a tenant whose own home was removed.
func (l *Ledger) Forget(ctx context.Context, id tenant.ID) error {
	_, err := l.update(ctx, "forget", `DELETE FROM tenancy_fleet_homes WHERE tenant_id = ? AND tenant_id <> ''`, string(id))
	return err
}

func (l *Ledger) update(ctx context.Context, what, query string, args ...any) (bool, error) {
	result, err := l.db.ExecContext(ctx, l.db.Rebind(query), args...)
	if err != nil {
		return false, failed(ctx, what, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// stamp is a time as either database has it: a time, or microseconds since 1970.
// NULL is the zero time.
type stamp struct{ time.Time }

// Scan implements sql.Scanner.
func (s *stamp) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		s.Time = time.Time{}
	case time.Time:
		s.Time = v.UTC()
	case int64:
		s.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("fleet: cannot read %T as a time", value)
	}
	return nil
}

func (l *Ledger) stamp(t time.Time) any {
	if l.dialect == OnSQLite {
		return t.UnixMicro()
	}
	return t.UTC()
}

// failed returns err as this package's, or the reason why ctx ended: drivers tell
// of that in ways of their own.
func failed(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("fleet: %s: %w", what, cause)
	}
	return fmt.Errorf("fleet: %s: %w", what, err)
}
