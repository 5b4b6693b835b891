package sqlitefile

import (
	"database/sql/driver"
	"errors"
	"reflect"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// handleOf returns SQLite's handle of a connection. The driver interrupts a
// statement when its context ends, but only up to its first row, and does not
// export the handle by which one could do better. Reflection may read it.
func handleOf(conn driver.Conn) (uintptr, error) {
	if handle, ok := pointerField(conn, "db"); ok && handle != 0 {
		return handle, nil
	}
	return 0, errors.New("sqlitefile: this version of modernc.org/sqlite keeps its handle elsewhere; " +
		"pin the version that go.mod of Tenancy names")
}

// parametersOf returns how many parameters a prepared statement has, which the
// driver does not tell, or -1 if it is several statements.
func parametersOf(s driver.Stmt) int {
	handle, ok := pointerField(s, "pstmt")
	if !ok || handle == 0 {
		return -1
	}
	tls := libc.NewTLS()
	defer tls.Close()
	return int(sqlite3.Xsqlite3_bind_parameter_count(tls, handle))
}

// pointerField returns a field of the struct that v points to.
func pointerField(v any, name string) (uintptr, bool) {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Elem().Kind() != reflect.Struct {
		return 0, false
	}
	f := p.Elem().FieldByName(name)
	if f.Kind() != reflect.Uintptr {
		return 0, false
	}
	return uintptr(f.Uint()), true
}
