package files

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// Store keeps files by tenant, which is the context's. It must be safe for concurrent
// use. filestest.TestStore checks an implementation against these comments.
//
// Without a tenant the error wraps tenant.ErrNoTenant, and nothing happens; with a name
// that breaks the rules of [ValidateName] it wraps ErrName. Where there is no file of a
// name, it wraps ErrNotFound.
type Store interface {
	// Put keeps content under name, in place of what was there, and returns what it
	// kept once that is durable. After an error, nothing of the content is kept, and
	// what was there is as it was. It reads no further than the store's limit
	// (ErrTooLarge).
	Put(ctx context.Context, name string, content io.Reader, opts ...PutOption) (Info, error)

	// Open returns the file for reading. What is read does not change, even when the
	// name is given to another file or none. The caller closes it.
	Open(ctx context.Context, name string) (*File, error)

	// Stat returns what Open would say of the file.
	Stat(ctx context.Context, name string) (Info, error)

	// Delete removes the file.
	Delete(ctx context.Context, name string) error

	// Copy keeps the content of from under to as well, as Put would.
	Copy(ctx context.Context, from, to string) (Info, error)

	// Rename gives the file from the name to, in place of what was there. Killed
	// half-way, a store may leave both names.
	Rename(ctx context.Context, from, to string) (Info, error)

	// List returns one page of the tenant's files in the order of their names' bytes.
	// Who reads page after page sees each file that does not change meanwhile once.
	List(ctx context.Context, q Query) (Page, error)

	// DeleteAll removes all of the tenant's files, as when the tenant leaves. Killed
	// half-way, it leaves all or none that can be found.
	DeleteAll(ctx context.Context) error

	// Usage counts the tenant's files as they are.
	Usage(ctx context.Context) (Usage, error)
}

// Info describes a file.
type Info struct {
	Name    string
	Size    int64
	ModTime time.Time // UTC, when it was written
	ETag    string    // the SHA-256 of the content in hexadecimal
}

// File is a file that is open for reading.
type File struct {
	Info
	io.ReadSeekCloser
}

// Usage is what a tenant's files take.
type Usage struct {
	Files int64
	Bytes int64 // of content
}

// Query selects files. The zero Query selects all.
type Query struct {
	Prefix string // of their names; not only whole segments
	Cursor string // Page.Next of the page before, with the rest of the query unchanged
	Limit  int    // files in a page: 1 to MaxLimit; 0 means DefaultLimit
}

// Page is one page of a list.
type Page struct {
	Files []Info
	Next  string // cursor of the next page; empty after the last
}

// Limits of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// PutOption changes how one file is put.
type PutOption func(*PutOptions)

// PutOptions is what the options of a Put say. It is for implementations of [Store].
type PutOptions struct {
	Absent bool
	Size   int64 // -1 is not promised
}

// IfAbsent refuses to put a file where there is one (ErrExists). Of several that put the
// same name at once, one succeeds.
func IfAbsent() PutOption { return func(o *PutOptions) { o.Absent = true } }

// WithSize promises the size of the content. With another the file is refused (ErrSize),
// and one that is too large is refused before it is read.
func WithSize(n int64) PutOption { return func(o *PutOptions) { o.Size = n } }

// Apply returns what opts say. It is for implementations of [Store].
func Apply(opts []PutOption) PutOptions {
	o := PutOptions{Size: -1}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// Observer accounts for what files take. It must be safe for concurrent use, and does not
// call the store. Quotas implement it.
type Observer interface {
	// Reserve sets bytes aside for id, or refuses with an error that Put returns. It is
	// called, once or many times for one file, before those bytes are written.
	Reserve(ctx context.Context, id tenant.ID, bytes int64) error
	// Settle gives back what was reserved for one file, and says by how many bytes id's
	// files grew; less than 0 where they shrank, 0 where the file was not kept.
	Settle(ctx context.Context, id tenant.ID, reserved, growth int64) error
	// Reconcile says what id's files take in truth, reservations apart.
	Reconcile(ctx context.Context, id tenant.ID, bytes int64) error
}

// Option changes a setting of a store.
type Option func(*config)

type config struct {
	maxSize  int64
	observer Observer
	now      func() time.Time
}

// MaxFileSize bounds the size of each file. The default is 1 GiB.
func MaxFileSize(n int64) Option { return func(c *config) { c.maxSize = n } }

// Observe has o account for what files take.
func Observe(o Observer) Option { return func(c *config) { c.observer = o } }

// Clock sets the store's clock, instead of time.Now.
func Clock(now func() time.Time) Option { return func(c *config) { c.now = now } }

func configure(opts []Option) (config, error) {
	c := config{maxSize: 1 << 30, observer: free{}, now: time.Now}
	for _, opt := range opts {
		opt(&c)
	}
	if c.maxSize < 0 || c.observer == nil || c.now == nil {
		return c, fmt.Errorf("files: want a size of 0 or more, an observer and a clock, got MaxFileSize %d", c.maxSize)
	}
	return c, nil
}

// free is the observer that lets everything pass.
type free struct{}

func (free) Reserve(context.Context, tenant.ID, int64) error       { return nil }
func (free) Settle(context.Context, tenant.ID, int64, int64) error { return nil }
func (free) Reconcile(context.Context, tenant.ID, int64) error     { return nil }

// owner returns ctx's tenant.
func owner(ctx context.Context) (tenant.ID, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return "", fmt.Errorf("files: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return id, nil
}
