package fleet

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/pressly/goose/v3"
)

// record lets goose run the files of fsys against a connection that only notes
// the statements. So they are parsed once for all homes, by goose's own rules.
func record(fsys fs.FS) (_ []step, err error) {
	r := &recorder{}
	db := sql.OpenDB(r)
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, fsys,
		goose.WithDisableGlobalRegistry(true), goose.WithDisableVersioning(true), goose.WithLogger(goose.NopLogger()))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, source := range provider.ListSources() {
		r.statements, r.inTx = nil, false
		if source.Type != goose.TypeSQL {
			return nil, fmt.Errorf("%s: migrations in Go are given as a Function, not as a file", source.Path)
		}
		if _, err := provider.ApplyVersion(context.Background(), source.Version, true); err != nil {
			return nil, err
		}
		steps = append(steps, step{
			version: source.Version, name: path.Base(source.Path), statements: r.statements, noTx: !r.inTx,
		})
	}
	return steps, nil
}

// recorder is a connector to, and a connection on, nothing.
type recorder struct {
	statements []string
	inTx       bool
}

var errOnlyExec = errors.New("fleet: goose asked the database something; pin the version that go.mod of Tenancy names")

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return r, nil }
func (r *recorder) Driver() driver.Driver                        { return r }
func (r *recorder) Open(string) (driver.Conn, error)             { return r, nil }
func (r *recorder) Close() error                                 { return nil }
func (r *recorder) Commit() error                                { return nil }
func (r *recorder) Rollback() error                              { return nil }
func (r *recorder) Prepare(string) (driver.Stmt, error)          { return nil, errOnlyExec }

func (r *recorder) Begin() (driver.Tx, error) {
	r.inTx = true
	return r, nil
}

func (r *recorder) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	r.statements = append(r.statements, query)
	return driver.ResultNoRows, nil
}
