package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path"
	"time"

	"modernc.org/sqlite"

	"github.com/tenancy-go/tenancy/internal/sqlkit"
)

// lockFile is an empty SQLite database. Its write lock is one that every
// platform has, that excludes other processes, and that ends with its holder.
const lockFile = workDir + "/lock.db"

const lockTimeout = time.Minute

func openLock(d *directory) *sql.DB {
	c := plainConnector{driver: &sqlite.Driver{}, dsn: dsn(d.path(lockFile), busyQuery(lockTimeout).Encode())}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1) // who waits in this process waits for the connection
	return db
}

// locked calls do while nobody else makes or removes homes in the directory, in
// this process or another, and with the work directory empty.
func (s *Strategy) locked(ctx context.Context, do func() error) (err error) {
	conn, err := s.lock.Conn(ctx)
	if err != nil {
		return fmt.Errorf("sqlitefile: lock: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := sqlkit.BeginImmediate(ctx, conn); err != nil {
		return fmt.Errorf("sqlitefile: lock: %w", err)
	}
	defer sqlkit.Rollback(ctx, conn)
	if err := s.sweep(); err != nil {
		return fmt.Errorf("sqlitefile: sweep: %w", err)
	}
	return do()
}

// sweep removes what a killed process left unfinished.
func (s *Strategy) sweep() error {
	f, err := s.dir.Open(workDir)
	if err != nil {
		return err
	}
	names, err := f.Readdirnames(-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	for _, name := range names {
		name = path.Join(workDir, name)
		if name != lockFile {
			err = errors.Join(err, s.dir.RemoveAll(name))
		}
	}
	return err
}
