package tenant

import "context"

// Finder looks a tenant up. A [Store] is one, and so is a [Directory].
type Finder interface {
	// Find returns the tenant that ref names. ErrNotFound means that there is
	// none, and that the answer may be relied upon; any other error means that
	// the answer is unknown. A deleted tenant is found by its ID, and by its slug
	// for as long as the slug is kept from others, with StatusDeleted. A Ref that
	// fails its Validate names nobody.
	Find(ctx context.Context, ref Ref) (Tenant, error)
}

// Store keeps the record of every tenant. It must be safe for concurrent use.
// tenanttest.TestStore checks an implementation against these comments, and
// [Tenant.ForCreate], [Tenant.ForUpdate], [Tenant.ForDelete] and [Query.Check]
// are the parts of them that need no storage.
//
// What a Store returns shares nothing with what it keeps, nor with what it was
// given. Times are UTC, to the microsecond; no Domains and no Settings are nil.
// A write is done as a whole or not at all, and a Find or List that starts
// after it has returned sees it. A context that has ended is its error.
type Store interface {
	Finder

	// Create adds t and returns it as kept: with Version 1, Domains sorted, and
	// CreatedAt and UpdatedAt set to the store's clock. An empty Status becomes
	// StatusProvisioning; StatusDeleted is refused. t must pass Validate.
	// An ID, slug or domain that is in use, or was kept from others by a deleted
	// tenant, is a FieldError wrapping ErrExists; an unknown or deleted Parent is
	// one wrapping ErrInvalid. Nothing is stored on error.
	Create(ctx context.Context, t Tenant) (Tenant, error)

	// Update replaces the record with t.ID by t, if the kept Version equals
	// t.Version (else ErrConflict), and returns it as kept, with Version one
	// higher and UpdatedAt set. CreatedAt and DeletedAt of t are ignored. t must
	// pass Validate. A Status that may not follow the kept one is a
	// TransitionError; StatusDeleted is only reached by Delete. Slugs, domains
	// and Parent are checked as in Create, and a Parent that would close a circle
	// is a FieldError wrapping ErrInvalid. A slug or domain given up is free at
	// once. An unknown or deleted tenant is ErrNotFound.
	Update(ctx context.Context, t Tenant) (Tenant, error)

	// Delete turns the tenant into a tombstone, if the kept Version equals
	// version (else ErrConflict), and returns it: StatusDeleted, Version one
	// higher, UpdatedAt and DeletedAt set, Name, Contact, Domains and Settings
	// emptied. Its domains are free at once, its slug after the time that the
	// store was told to keep it, its ID never. A tenant that others, not deleted,
	// name as Parent is a FieldError wrapping ErrInvalid. An unknown, deleted or
	// malformed ID is ErrNotFound.
	Delete(ctx context.Context, id ID, version int64) (Tenant, error)

	// List returns one page of the tenants that q selects, in its order. A query
	// or cursor that makes no sense is a FieldError wrapping ErrInvalid. Who reads
	// page after page sees each tenant that does not change meanwhile once,
	// whatever happens to the others.
	List(ctx context.Context, q Query) (Page, error)
}

// Query selects tenants. The zero Query selects all that are not deleted, by ID.
type Query struct {
	Status []Status // any of these; empty means all but StatusDeleted
	Plan   string   // empty means any
	Region string   // empty means any
	Parent ID       // empty means any
	Search string   // part of ID, slug or name, regardless of case (of ASCII letters); empty means any
	Sort   Sort     // by ID unless given
	Desc   bool     // last first
	Limit  int      // tenants in a page: 1 to MaxLimit; 0 means DefaultLimit
	Cursor string   // Page.Next of the page before, with the rest of the query unchanged
}

// Sort names the order of a [Query]: of bytes for text, ties broken by ID.
type Sort string

// The orders.
const (
	SortID      Sort = "id"
	SortSlug    Sort = "slug"
	SortName    Sort = "name"
	SortCreated Sort = "created"
	SortUpdated Sort = "updated"
)

// Limits of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Page is one page of a list.
type Page struct {
	Tenants []Tenant
	Next    string // cursor of the next page; empty after the last
}

// Change says that a tenant's record changed. An empty ID means that changes
// may have been missed, so that any record may have changed.
type Change struct {
	ID ID
}

// Watcher tells of changes made by any process. A store that spans processes
// implements it; [Directory.Follow] uses it.
type Watcher interface {
	// Watch calls changed for each change until ctx ends, then returns ctx's
	// error. It calls changed with the zero Change once it is listening, and
	// again after every gap.
	Watch(ctx context.Context, changed func(Change)) error
}
