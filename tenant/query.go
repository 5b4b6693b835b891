package tenant

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// Position is a place in the order of a [Query]: that of the tenant with this
// ID and, for orders other than by ID, this key. The zero Position is the
// beginning.
type Position struct {
	ID   ID
	Text string    // slug or name, under SortSlug and SortName
	Time time.Time // creation or last update, under SortCreated and SortUpdated
}

// Check returns q with defaults in place of what is left out, and the Position
// after which its page begins. It is for implementations of [Store]: what Check
// refuses is what List has to refuse.
func (q Query) Check() (Query, Position, error) {
	q.Sort = cmp.Or(q.Sort, SortID)
	q.Limit = cmp.Or(q.Limit, DefaultLimit)
	if err := q.checkFilters(); err != nil {
		return Query{}, Position{}, err
	}
	if !slices.Contains(sorts, q.Sort) {
		return Query{}, Position{}, invalid("Sort", "unknown order %s", printable(string(q.Sort)))
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		return Query{}, Position{}, invalid("Limit", "want 1 to %d, got %d", MaxLimit, q.Limit)
	}
	if q.Cursor == "" {
		return q, Position{}, nil
	}
	after, ok := q.decode(q.Cursor)
	if !ok {
		return Query{}, Position{}, invalid("Cursor", "want Next of the page before, with the same order")
	}
	return q, after, nil
}

func (q Query) checkFilters() error {
	for _, status := range q.Status {
		if !status.Valid() {
			return invalid("Status", "unknown status %s", printable(string(status)))
		}
	}
	if q.Parent != "" && q.Parent.Validate() != nil {
		return invalid("Parent", "%s is no ID", printable(string(q.Parent)))
	}
	texts := []struct{ field, value string }{{"Plan", q.Plan}, {"Region", q.Region}, {"Search", q.Search}}
	for _, text := range texts {
		if len(text.value) > maxFieldLen || !isText(text.value) {
			return invalid(text.field, "want UTF-8 text of at most %d bytes without control characters", maxFieldLen)
		}
	}
	return nil
}

// Selects reports whether t is among the tenants that q selects, on whatever
// page.
func (q Query) Selects(t Tenant) bool {
	if len(q.Status) == 0 && t.Status == StatusDeleted {
		return false
	}
	if len(q.Status) > 0 && !slices.Contains(q.Status, t.Status) {
		return false
	}
	return (q.Plan == "" || q.Plan == t.Plan) &&
		(q.Region == "" || q.Region == t.Region) &&
		(q.Parent == "" || q.Parent == t.Parent) &&
		q.searches(t)
}

func (q Query) searches(t Tenant) bool {
	if q.Search == "" {
		return true
	}
	part := FoldASCII(q.Search)
	return strings.Contains(string(t.ID), part) ||
		strings.Contains(t.Slug, part) ||
		strings.Contains(FoldASCII(t.Name), part)
}

// FoldASCII returns s with the letters A to Z in lower case, as [Query].Search
// compares. It is what lower() does on SQLite, and on PostgreSQL under the
// collation "C".
func FoldASCII(s string) string {
	folded := []byte(s)
	for i, c := range folded {
		if c >= 'A' && c <= 'Z' {
			folded[i] = c + 'a' - 'A'
		}
	}
	return string(folded)
}

// Position returns the place of t in the order of q.
func (q Query) Position(t Tenant) Position {
	switch q.Sort {
	case SortSlug:
		return Position{ID: t.ID, Text: t.Slug}
	case SortName:
		return Position{ID: t.ID, Text: t.Name}
	case SortCreated:
		return Position{ID: t.ID, Time: t.CreatedAt}
	case SortUpdated:
		return Position{ID: t.ID, Time: t.UpdatedAt}
	case SortID:
	}
	return Position{ID: t.ID}
}

// Page returns found, which begins with the page's first tenant and goes on for
// one tenant beyond q.Limit if there is one, as a page. It is for
// implementations of [Store], with the Query that Check returned.
func (q Query) Page(found []Tenant) Page {
	if len(found) <= q.Limit {
		return Page{Tenants: found}
	}
	found = found[:q.Limit:q.Limit]
	return Page{Tenants: found, Next: q.encode(q.Position(found[q.Limit-1]))}
}

// compare orders positions of q as List does.
func (q Query) compare(a, b Position) int {
	order := cmp.Or(
		strings.Compare(a.Text, b.Text),
		a.Time.Compare(b.Time),
		strings.Compare(string(a.ID), string(b.ID)))
	if q.Desc {
		return -order
	}
	return order
}

// A cursor is base64url of: version, order, direction, length of ID (a byte
// each), ID, key. The key is text, or microseconds since 1970 in 8 bytes.
const (
	cursorVersion = 1
	cursorHead    = 4
	maxCursorLen  = 512
)

// sorts is the orders by the number they have in a cursor.
var sorts = []Sort{SortID, SortSlug, SortName, SortCreated, SortUpdated}

func (q Query) encode(p Position) string {
	head := []byte{cursorVersion, byte(slices.Index(sorts, q.Sort)), 0, byte(len(p.ID))}
	if q.Desc {
		head[2] = 1
	}
	raw := append(head, p.ID...)
	switch q.Sort {
	case SortSlug, SortName:
		raw = append(raw, p.Text...)
	case SortCreated, SortUpdated:
		raw = binary.BigEndian.AppendUint64(raw, uint64(p.Time.UnixMicro())) //nolint:gosec // read back as it is written
	case SortID:
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// decode returns the position that cursor stands for in the order of q. Only
// what encode writes is accepted.
func (q Query) decode(cursor string) (Position, bool) {
	if len(cursor) > maxCursorLen {
		return Position{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) < cursorHead || len(raw) < cursorHead+int(raw[3]) {
		return Position{}, false
	}
	id, key := raw[cursorHead:cursorHead+int(raw[3])], raw[cursorHead+int(raw[3]):]
	p := Position{ID: ID(id)}
	switch q.Sort {
	case SortSlug, SortName:
		p.Text = string(key)
	case SortCreated, SortUpdated:
		if len(key) != 8 {
			return Position{}, false
		}
		p.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(key))).UTC() //nolint:gosec // written so by encode
	case SortID:
	}
	ok := p.ID.Validate() == nil && len(p.Text) <= maxNameLen && isText(p.Text) && q.encode(p) == cursor
	return p, ok
}
