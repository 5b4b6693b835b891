package archive

import (
	"errors"
	"strings"
)

// The classes of failure. Whatever fails in the database is returned as the driver
// reports it.
var (
	// ErrDamaged means that an archive is cut short, was changed, or is none.
	ErrDamaged = errors.New("archive: damaged or not an archive")
	// ErrUnregistered means that there are tables with the tenant's data of which
	// nobody said whether they belong to an archive.
	ErrUnregistered = errors.New("archive: tables are not registered")
	// ErrUnsupported means that a table or value cannot be kept as it is.
	ErrUnsupported = errors.New("archive: unsupported")
	// ErrCircle means that tables refer to each other, or to themselves, so that no
	// row can be the first.
	ErrCircle = errors.New("archive: foreign keys form a circle")
	// ErrSchema means that the tables differ from those that the rows were in.
	ErrSchema = errors.New("archive: another schema")
	// ErrOccupied means that the home has rows already.
	ErrOccupied = errors.New("archive: the home is not empty")
	// ErrOtherTenant means that an archive is another tenant's.
	ErrOtherTenant = errors.New("archive: another tenant's")
	// ErrMismatch means that what was read back is not what was written, or that
	// two sides of a move differ.
	ErrMismatch = errors.New("archive: rows differ")
	// ErrFrozen means that a tenant cannot write for now, because it is being moved,
	// or any more in a home that it left. See [IsFrozen].
	ErrFrozen = errors.New("archive: the tenant is being moved")
	// ErrNotFound means that there is no such move.
	ErrNotFound = errors.New("archive: no such move")
	// ErrConflict means that another process was faster, or that a tenant has a move
	// under way.
	ErrConflict = errors.New("archive: conflict")
	// ErrFlipped means that a move is past its point of no return.
	ErrFlipped = errors.New("archive: the tenant has moved already; move it back instead")
)

// frozen begins the text of the errors with which databases refuse to write.
const frozen = "tenancy: the tenant is being moved"

// frozenState is the SQLSTATE of them: read-only transaction, which drivers and
// hosts know from servers that fail over.
const frozenState = "25006"

// IsFrozen reports whether err came from a statement that wrote for a tenant which
// is being moved. Nothing of its transaction was kept. Try the transaction again,
// from its beginning, after a pause of some 100 ms: it runs where the tenant lives
// by then.
func IsFrozen(err error) bool {
	return err != nil && (errors.Is(err, ErrFrozen) || strings.Contains(err.Error(), frozen))
}

// sqlState returns the SQLSTATE of the database's error in err, or "".
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}
