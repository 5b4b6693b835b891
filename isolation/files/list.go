package files

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/tenancy-go/tenancy/tenant"
)

// listing collects one page: the first names after another, in order.
type listing struct {
	id     tenant.ID
	prefix string
	after  string
	limit  int
	names  []string // sorted; one more than limit tells that there is another page
}

// newListing checks q.
func newListing(id tenant.ID, q Query) (*listing, error) {
	switch {
	case q.Limit < 0 || q.Limit > MaxLimit:
		return nil, fmt.Errorf("%w: limit: want 1 to %d, or 0 for %d, got %d", ErrQuery, MaxLimit, DefaultLimit, q.Limit)
	case q.Limit == 0:
		q.Limit = DefaultLimit
	}
	l := &listing{id: id, prefix: q.Prefix, limit: q.Limit}
	if q.Cursor == "" {
		return l, nil
	}
	var err error
	l.after, err = openCursor(id, q.Cursor)
	return l, err
}

// wants reports whether names that begin with prefix may still be of the page.
func (l *listing) wants(prefix string) bool {
	switch {
	case !strings.HasPrefix(prefix, l.prefix) && !strings.HasPrefix(l.prefix, prefix):
		return false
	case prefix < l.after && !strings.HasPrefix(l.after, prefix):
		return false
	}
	return len(l.names) <= l.limit || prefix < l.names[l.limit]
}

// add puts name in its place, if it is of the page.
func (l *listing) add(name string) {
	if !strings.HasPrefix(name, l.prefix) || name <= l.after {
		return
	}
	at, found := slices.BinarySearch(l.names, name)
	if at > l.limit || found {
		return
	}
	l.names = slices.Insert(l.names, at, name)
	l.names = l.names[:min(len(l.names), l.limit+1)]
}

// page returns the names of the page, and the cursor of the next.
func (l *listing) page() (names []string, next string) {
	if len(l.names) <= l.limit {
		return l.names, ""
	}
	names = l.names[:l.limit]
	return names, sealCursor(l.id, names[l.limit-1])
}

// A cursor names its tenant, so that another's is refused rather than understood.
func sealCursor(id tenant.ID, name string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(id) + "/" + name))
}

func openCursor(id tenant.ID, cursor string) (string, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	name, ours := strings.CutPrefix(string(text), string(id)+"/")
	if err != nil || !ours || ValidateName(name) != nil {
		return "", fmt.Errorf("%w: the cursor is none of this list", ErrQuery)
	}
	return name, nil
}
