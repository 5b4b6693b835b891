package postgres

import (
	"bytes"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

// readOnly is what the server told of default_transaction_read_only, which PostgreSQL
// reports since version 14. A tenant's SQL may leave it on, and the transaction that
// clears the session for the next tenant would be read-only itself, and with it the
// statement that shares it.
type readOnly struct{ opened, now readOnlyState }

type readOnlyState byte

const (
	untold readOnlyState = iota
	off
	on
)

// left reports whether a tenant turned it on.
func (r readOnly) left() bool { return r.opened == off && r.now == on }

// may reports whether it was off when the session was opened.
func (r readOnly) may() bool { return r.opened == off }

// note takes down the body of a ParameterStatus message.
func (r *readOnly) note(body []byte, started bool) {
	value, ok := bytes.CutPrefix(body, []byte("default_transaction_read_only\x00"))
	if !ok {
		return
	}
	r.now = off
	if string(value) == "on\x00" {
		r.now = on
	}
	if !started {
		r.opened = r.now
	}
}

// mayWrite lets the transaction write in which it comes first, whatever the session
// says. DEFERRABLE has a meaning for transactions that only read, and would let them
// wait until others end. SET TRANSACTION would do the same, with a warning.
var mayWrite = []Statement{{Query: "SET transaction_read_only = off"}}

// writes reports whether b begins a statement that may do more than read.
func writes(b []byte) bool {
	switch b[0] {
	case msgParse:
		return !sqlguard.IsQuery(parseText(b))
	case msgQuery:
		text := queryText(b)
		return !isBegin(text) && !sqlguard.IsQuery(text) // BEGIN says itself what it is for
	default:
		return false // statements are not prepared where entries are local
	}
}
