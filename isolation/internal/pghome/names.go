package pghome

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/tenant"
)

const (
	// maxName is the longest name that PostgreSQL keeps whole, in bytes.
	maxName = 63
	// hashLen is 160 bits in base 32: more than anyone can find a second ID for.
	hashLen = 32
)

var (
	hashText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	plain    = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)
)

// Name returns the name of id's home: prefix and id, hyphens written as
// underscores, cut by [Shorten]. Different IDs have different names, since an ID
// has no underscore.
func Name(prefix string, id tenant.ID) string {
	return Shorten(prefix + strings.ReplaceAll(string(id), "-", "_"))
}

// Shorten returns name if it has fewer than 63 bytes. A longer one keeps its
// beginning, and a hash of the whole takes the place of the rest, so that the
// result has exactly 63 bytes and is never equal to a name that was left alone.
func Shorten(name string) string {
	if len(name) < maxName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxName-hashLen-1] + "_" + hashText.EncodeToString(sum[:])[:hashLen]
}

// ValidName returns an error unless name is plain: lower-case letters, digits and
// underscores, no digit first, 63 bytes at most, and not PostgreSQL's own.
func ValidName(name string) error {
	if !plain.MatchString(name) || strings.HasPrefix(name, "pg_") {
		return fmt.Errorf("name %q: want 1 to 63 lower-case letters, digits and underscores, "+
			"a letter or underscore first, not pg_", name)
	}
	return nil
}

// Quote returns name as an identifier in SQL.
func Quote(name string) string { return pq.QuoteIdentifier(name) }

// Literal returns text as a string constant in SQL.
func Literal(text string) string { return pq.QuoteLiteral(text) }
