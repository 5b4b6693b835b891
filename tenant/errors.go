package tenant

import (
	"errors"
	"fmt"
)

// The classes of failure. Every error of this package wraps one of them, or is
// a store's own failure.
var (
	// ErrNoTenant means that the context, or the request, names no tenant.
	ErrNoTenant = errors.New("tenant: no tenant")
	// ErrNotFound means that no tenant has that ID, slug or domain.
	ErrNotFound = errors.New("tenant: not found")
	// ErrInvalidID means that an ID is empty or malformed.
	ErrInvalidID = errors.New("tenant: invalid ID")
	// ErrInvalid means that a tenant's record, or a name in a request, breaks a
	// rule. It is wrapped in a [FieldError].
	ErrInvalid = errors.New("tenant: invalid")
	// ErrExists means that an ID, slug or domain belongs to a tenant already, or
	// to a deleted one that still keeps it. It is wrapped in a [FieldError].
	ErrExists = errors.New("tenant: already exists")
	// ErrConflict means that the record changed since it was read.
	ErrConflict = errors.New("tenant: version conflict")
	// ErrTransition means that a status may not follow another.
	ErrTransition = errors.New("tenant: status transition not allowed")
	// ErrDisagree means that two resolvers of [Agree] name different tenants.
	ErrDisagree = errors.New("tenant: resolvers disagree")
	// ErrForeign means that the caller does not belong to the tenant.
	ErrForeign = errors.New("tenant: caller does not belong to the tenant")
	// ErrStatus means that the tenant's status does not allow the request. It is
	// wrapped in a [StatusError].
	ErrStatus = errors.New("tenant: status refuses the request")
)

// FieldError says which field of a record is at fault. It wraps [ErrInvalid] or
// [ErrExists].
type FieldError struct {
	Field  string // the Go name: "Slug", "Domains", …
	Reason string // what to do about it
	Err    error  // ErrInvalid or ErrExists
}

func (e *FieldError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%v: %s", e.Err, e.Field)
	}
	return fmt.Sprintf("%v: %s: %s", e.Err, e.Field, e.Reason)
}

func (e *FieldError) Unwrap() error { return e.Err }

// TransitionError is a refused change of status. It wraps [ErrTransition].
type TransitionError struct {
	From, To Status
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("%v: %s to %s", ErrTransition, e.From, e.To)
}

func (e *TransitionError) Unwrap() error { return ErrTransition }

// StatusError is a request refused for the tenant's status. It wraps
// [ErrStatus].
type StatusError struct {
	ID     ID
	Status Status
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%v: tenant %s is %s", ErrStatus, e.ID, e.Status)
}

func (e *StatusError) Unwrap() error { return ErrStatus }

func invalid(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...), Err: ErrInvalid}
}
