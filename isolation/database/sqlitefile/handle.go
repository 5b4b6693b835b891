package sqlitefile

import (
	"database/sql/driver"
	"errors"
	"reflect"
)

// handleOf returns SQLite's handle of a connection. The driver interrupts a
// statement when its context ends, but only up to its first row, and does not
// export the handle by which one could do better. Reflection may read it.
func handleOf(conn driver.Conn) (uintptr, error) {
	v := reflect.ValueOf(conn)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Struct {
		if db := v.Elem().FieldByName("db"); db.Kind() == reflect.Uintptr && db.Uint() != 0 {
			return uintptr(db.Uint()), nil
		}
	}
	return 0, errors.New("sqlitefile: this version of modernc.org/sqlite keeps its handle elsewhere; " +
		"pin the version that go.mod of Tenancy names")
}
