package sqlitefile_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// firstInt returns the first value of a query on a bare connection.
func firstInt(t testing.TB, conn driver.Conn, query string) int64 {
	t.Helper()
	rows, err := conn.(driver.QueryerContext).QueryContext(context.WithoutCancel(t.Context()), query, nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	require.NoError(t, rows.Next(row))
	n, ok := row[0].(int64)
	require.True(t, ok, "%s: %v", query, row[0])
	return n
}

func twice(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
	n, _ := args[0].(int64)
	return 2 * n, nil
}

// drain reads rows to their end and closes them.
func drain(rows driver.Rows) error {
	row := make([]driver.Value, len(rows.Columns()))
	var err error
	for err == nil {
		err = rows.Next(row)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}
