package envelope

import "errors"

// The classes of failure. Every error of this package wraps one of them, is
// tenant.ErrNoTenant, or says what is wrong with an argument. No error has a key
// or a plaintext in it.
var (
	// ErrOpen means that a ciphertext does not open: it was sealed for another
	// tenant, column or row, was changed or cut, is no ciphertext at all, or its
	// key version was retired. Which of these it is cannot be told apart.
	ErrOpen = errors.New("envelope: ciphertext does not open here")
	// ErrShredded means that the tenant's keys were destroyed. It will never have
	// keys again.
	ErrShredded = errors.New("envelope: the tenant's keys were destroyed")
	// ErrUnavailable means that the key provider, the store or the journal could
	// not be asked. Nothing was sealed or opened.
	ErrUnavailable = errors.New("envelope: keys are unavailable")
	// ErrUnwrap means that a data key in the store is not what the provider once
	// wrapped for that tenant, purpose and version.
	ErrUnwrap = errors.New("envelope: stored data key is not authentic")
	// ErrUnknownKey means that a provider does not have the wrapping key of that ID.
	ErrUnknownKey = errors.New("envelope: unknown wrapping key")
	// ErrConflict means that a record of the store is not, or no more, as the
	// caller took it to be. Load again.
	ErrConflict = errors.New("envelope: key record changed meanwhile")
	// ErrTooSoon means that a process may still seal with a key version that was to be
	// retired.
	ErrTooSoon = errors.New("envelope: too soon to retire")
	// ErrNotSealed means that a [Field] would have been written in the clear.
	ErrNotSealed = errors.New("envelope: field is not sealed (call SealFields or Field.Seal before the statement)")
	// ErrNotOpened means that a [Field] was read before it was opened.
	ErrNotOpened = errors.New("envelope: field is not opened (call OpenFields or Field.Open after the query)")
	// ErrNotSystem means that work over all tenants was asked for outside a system
	// context (tenant.System).
	ErrNotSystem = errors.New("envelope: want a system context (tenant.System)")
	// ErrPermissions means that a file with keys can be read or written by others
	// than its owner.
	ErrPermissions = errors.New("envelope: key file is open to others (chmod 600)")
)
