package files

import "errors"

// The classes of failure. Whatever else fails is the disk's or the observer's own.
var (
	// ErrNotFound means that the tenant has no file of that name.
	ErrNotFound = errors.New("files: not found")
	// ErrExists means that there is a file of that name already.
	ErrExists = errors.New("files: already exists")
	// ErrName means that a name breaks a rule. The text says which.
	ErrName = errors.New("files: invalid name")
	// ErrTooLarge means that a file is larger than the store takes.
	ErrTooLarge = errors.New("files: too large")
	// ErrSize means that the content ended before or after the size that was promised.
	ErrSize = errors.New("files: content is not of the promised size")
	// ErrQuery means that a query or cursor makes no sense.
	ErrQuery = errors.New("files: invalid query")
	// ErrGone means that the tenant's files were all removed meanwhile.
	ErrGone = errors.New("files: tenant's files were removed meanwhile")
	// ErrCorrupt means that what is on disk was not written by this package, or was
	// damaged since.
	ErrCorrupt = errors.New("files: damaged")
	// ErrUnsafe means that the directory is set up so that others could reach in. The
	// text says how to mend it.
	ErrUnsafe = errors.New("files: unsafe directory")
)
