package postgres

import (
	"bytes"

	"github.com/tenancy-go/tenancy/internal/sqlguard"
)

// readOnly is what the server told of default_transaction_read_only, which PostgreSQL
// reports since version 14. A tenant's SQL may leave it on, and the transaction that
// clears the session for the next tenant would be read-only itself, and with it the
// statement that shares it. On a standby every transaction is.
type readOnly struct {
	opened, now readOnlyState
	standby     bool
}

type readOnlyState byte

const (
	untold readOnlyState = iota
	off
	on
	feared // behind a pooler, a statement failed as if another client's tenant had turned it on
)

// left reports whether a tenant turned it on.
func (r *readOnly) left() bool { return r.may() && (r.now == on || r.now == feared) }

// may reports whether transactions could write when the session was opened.
func (r *readOnly) may() bool { return r.opened == off && !r.standby }

// note takes down the body of a ParameterStatus message.
func (r *readOnly) note(body []byte, started bool) {
	name, value, _ := bytes.Cut(body, []byte{0})
	state := off
	if bytes.Equal(value, []byte("on\x00")) {
		state = on
	}
	switch string(name) {
	case "in_hot_standby":
		r.standby = state == on
	case "default_transaction_read_only":
		r.now = state
		if !started {
			r.opened = state
		}
	}
}

// readOnlyTransaction is the SQLSTATE of what only a transaction that writes may do.
const readOnlyTransaction = "25006"

// fear takes down that a statement failed with an error that begins so.
func (r *readOnly) fear(body []byte) {
	if r.now == off && hasState(body, readOnlyTransaction) {
		r.now = feared
	}
}

// calm takes down that a statement did not fail.
func (r *readOnly) calm() {
	if r.now == feared {
		r.now = off
	}
}

// mayWrite lets the transaction write in which it comes first, whatever the session
// says. DEFERRABLE has a meaning for transactions that only read, and would let them
// wait until others end. SET TRANSACTION would do the same, with a warning.
var mayWrite = []Statement{{Query: "SET transaction_read_only = off"}}

// writes reports whether b begins a statement that may do more than read, as far as its
// text tells.
func writes(b []byte) bool {
	switch b[0] {
	case msgParse:
		return !sqlguard.IsQuery(parseText(b))
	case msgQuery:
		return !sqlguard.IsQuery(queryText(b))
	default:
		return false // statements are not prepared where entries are local
	}
}

// beginsTx reports whether b is a BEGIN, which says itself whether it is to write.
func beginsTx(b []byte) bool { return b[0] == msgQuery && isBegin(queryText(b)) }
