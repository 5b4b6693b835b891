package postgres

import "fmt"

// Statement is one SQL statement with its arguments, as text, for $1, $2 and so on.
type Statement struct {
	Query string
	Args  []string
}

// Entry gives a session to a tenant.
type Entry struct {
	// Statements run in one transaction with the statement that they go before, and
	// before it. Nothing in them controls a transaction. They are never prepared under a
	// name: SQL of the tenant before could have put another in its place.
	Statements []Statement
	// Local means that what they do ends with the transaction. They then go before
	// every statement outside a transaction, and into every transaction at its
	// beginning. Otherwise they go once.
	Local bool
	// Renew, if it is not nil, takes the place of Statements before each use, for
	// entries that run out. It must not block.
	Renew func() ([]Statement, error)
	// Failed, if it is not nil, is told why the entry failed.
	Failed func(error)
	// Keep means that the statements leave prepared statements alone, so that those
	// without a literal, which tell a tenant nothing about another, can serve the next.
	Keep bool
	// Lost, if it is not empty, is an SQLSTATE. A statement that fails with it may mean that
	// the session has its tenant no more: it is not used again.
	Lost string
}

// deallocate drops all prepared statements.
const deallocate = "DEALLOCATE ALL"

// EntryError says that a session could not be given to a tenant. Nothing of the
// statement that was to follow has run.
type EntryError struct{ Err error }

// Error returns the cause's text and what it means.
func (e *EntryError) Error() string {
	return fmt.Sprintf("isolation/postgres: giving the session to the tenant: %v", e.Err)
}

// Unwrap returns the server's error.
func (e *EntryError) Unwrap() error { return e.Err }

// NotBegun tells isolation.Pool that the statement did not run, so it may be tried
// on another connection.
func (e *EntryError) NotBegun() bool { return true }

// entry is an Entry on its way.
type entry struct {
	Entry
	pending bool // still to be sent, or to be sent before every statement
	drop    bool // all prepared statements first
}

func (e *entry) none() bool  { return !e.pending }
func (e *entry) local() bool { return e.Local }

// set makes next the entry. A drop that was asked for and not yet sent remains.
func (e *entry) set(next Entry, drop bool) {
	e.Entry, e.pending, e.drop = next, true, e.drop || drop
}

// statements returns what to send.
func (e *entry) statements() (statements []Statement, err error) {
	statements = e.Statements
	if e.Renew != nil {
		statements, err = e.Renew()
	}
	if e.drop {
		statements = append([]Statement{{Query: deallocate}}, statements...)
	}
	return statements, err
}

// done takes down that the entry holds.
func (e *entry) done() {
	e.drop = false
	if !e.Local {
		e.pending = false
	}
}
