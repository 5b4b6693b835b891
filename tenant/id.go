package tenant

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// maxIDLen keeps an ID usable as a DNS label and within a PostgreSQL name.
const maxIDLen = 63

// ID identifies a tenant. It is opaque: a UUID or a name such as tenant-123, of
// 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at
// both ends. It stays the same for the tenant's life and is never used again.
//
// Take IDs from outside through [ParseID]. A converted string that breaks the
// rules is refused wherever it is used.
type ID string

// ParseID returns s as an ID. Its error wraps [ErrInvalidID].
func ParseID(s string) (ID, error) {
	if err := ID(s).Validate(); err != nil {
		return "", err
	}
	return ID(s), nil
}

// NewID returns a random ID: a version 4 UUID (RFC 9562).
func NewID() ID {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80

	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return ID(s[:])
}

// Validate returns an error that wraps [ErrInvalidID] unless id is well formed.
func (id ID) Validate() error {
	if !isLabel(string(id)) {
		return fmt.Errorf("%w: %s: want 1 to %d lower-case letters, digits and hyphens, with a letter or digit at both ends",
			ErrInvalidID, printable(string(id)), maxIDLen)
	}
	return nil
}

// String returns id as text.
func (id ID) String() string { return string(id) }

// isLabel reports whether s is a lower-case DNS label (RFC 1123).
func isLabel(s string) bool {
	if s == "" || len(s) > maxIDLen || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// printable quotes what came from outside, cut short, for an error or a log.
func printable(s string) string {
	if len(s) > maxIDLen+1 {
		return fmt.Sprintf("%q…", s[:maxIDLen+1])
	}
	return fmt.Sprintf("%q", s)
}
