package sqlitefile

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

var _ isolation.Administrator = (*Strategy)(nil)

// HomeKeys looks at the files, without opening them. Keys have the file's number
// and the time it was made at. Where the system does not tell that time, a key is
// never the same twice, so that nobody takes a file for another.
func (s *Strategy) HomeKeys(ctx context.Context, ts []tenant.Tenant) ([]string, error) {
	keys := make([]string, len(ts))
	for i, t := range ts {
		if err := errors.Join(ctx.Err(), t.ID.Validate()); err != nil {
			return nil, err
		}
		var err error
		if keys[i], err = s.homeKey(t.ID); err != nil && !errors.Is(err, isolation.ErrNotProvisioned) {
			return nil, fmt.Errorf("sqlitefile: find home of tenant %s: %w", t.ID, err)
		}
	}
	return keys, nil
}

func (s *Strategy) homeKey(id tenant.ID) (string, error) {
	if err := s.dir.checkHome(id); err != nil {
		return "", err
	}
	path := s.dir.path(homeName(id))
	birth, err := birthOf(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: tenant %s has no file", isolation.ErrNotProvisioned, id)
	}
	if err != nil {
		return "", err
	}
	if birth == "" {
		birth = rand.Text()
	}
	return "sqlite/" + path + "#" + birth, nil
}

// Administer lets work into t's file as a migration is: without foreign keys, but
// a transaction that leaves a reference to nothing does not commit. The file is
// not locked, except by what work does; call Deprovision when no work runs.
func (s *Strategy) Administer(ctx context.Context, t tenant.Tenant,
	work func(context.Context, *sql.Conn, isolation.Home) error,
) error {
	if err := t.ID.Validate(); err != nil {
		return err
	}
	key, err := s.homeKey(t.ID)
	if err == nil {
		h := isolation.Home{Key: key, Dialect: "sqlite", Versions: versionTable}
		err = s.withMigrator(ctx, s.dir.path(homeName(t.ID)), func(conn *sql.Conn) error { return work(ctx, conn, h) })
	}
	if err != nil {
		return fmt.Errorf("sqlitefile: administer tenant %s: %w", t.ID, err)
	}
	return nil
}

// withMigrator runs work on a migration's connection to the file at path.
func (s *Strategy) withMigrator(ctx context.Context, path string, work func(*sql.Conn) error) (err error) {
	db := s.openMigrator(path)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := conn.Close(); !errors.Is(closeErr, sql.ErrConnDone) && !errors.Is(closeErr, driver.ErrBadConn) {
			err = errors.Join(err, closeErr)
		}
	}()
	return work(conn)
}
