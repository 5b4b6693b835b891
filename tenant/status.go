package tenant

import "slices"

// Status is where a tenant stands in its life.
type Status string

// The statuses. [Gate] answers requests accordingly.
const (
	StatusProvisioning Status = "provisioning" // being made; requests get 503
	StatusActive       Status = "active"       // in use
	StatusReadOnly     Status = "read-only"    // reads pass, writes get 403
	StatusSuspended    Status = "suspended"    // requests get 403
	StatusDeleted      Status = "deleted"      // a tombstone; requests get 410
)

// transitions lists what may follow each status, besides itself.
var transitions = map[Status][]Status{
	StatusProvisioning: {StatusActive, StatusDeleted},
	StatusActive:       {StatusReadOnly, StatusSuspended, StatusDeleted},
	StatusReadOnly:     {StatusActive, StatusSuspended, StatusDeleted},
	StatusSuspended:    {StatusActive, StatusReadOnly, StatusDeleted},
	StatusDeleted:      {},
}

// Valid reports whether s is one of the statuses.
func (s Status) Valid() bool {
	_, ok := transitions[s]
	return ok
}

// To returns nil if a tenant may go from s to next, or stay; else a
// [TransitionError]. A deleted tenant stays deleted.
func (s Status) To(next Status) error {
	if s.Valid() && next.Valid() && (s == next || slices.Contains(transitions[s], next)) {
		return nil
	}
	return &TransitionError{From: s, To: next}
}
