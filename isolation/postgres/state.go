package postgres

import (
	"database/sql/driver"
	"reflect"
)

// state reads what lib/pq knows about its connection and does not export. The
// connection must be the caller's: another goroutine that uses it would write
// these fields meanwhile.
type state struct {
	pid    int           // backend's process, as announced at connect
	secret []byte        // what a cancellation must show to be obeyed
	status reflect.Value // byte: transaction status of the last ReadyForQuery
	busy   reflect.Value // uint32: 1 from sending a query to its ReadyForQuery
}

// txIdle is the transaction status of a session in no transaction.
const txIdle = 'I'

// inspect finds the fields. Reflection may read unexported fields, so this takes
// no unsafe pointer, and a lib/pq that renamed them is refused.
func inspect(conn driver.Conn) (state, error) {
	v := reflect.ValueOf(conn)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return state{}, errLayout()
	}
	v = v.Elem()
	pid, secret, status, busy := v.FieldByName("pid"), v.FieldByName("secretKey"), v.FieldByName("txnStatus"), v.FieldByName("inProgress")
	if busy.Kind() == reflect.Struct { // atomic.Bool
		busy = busy.FieldByName("v")
	}
	if pid.Kind() != reflect.Int || secret.Kind() != reflect.Slice || secret.Type().Elem().Kind() != reflect.Uint8 ||
		status.Kind() != reflect.Uint8 || busy.Kind() != reflect.Uint32 {
		return state{}, errLayout()
	}
	return state{pid: int(pid.Int()), secret: secret.Bytes(), status: status, busy: busy}, nil
}

// idle reports whether the session is in no transaction and has answered all
// that was asked.
func (s state) idle() bool { return s.status.Uint() == txIdle && s.busy.Uint() == 0 }

func errLayout() error {
	return unsafe("this version of lib/pq keeps its state elsewhere, so a pooler or an open transaction would go unseen; " +
		"pin the version that go.mod of Tenancy names")
}
