package envelope

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/tenancy-go/tenancy/tenant"
)

// Provider wraps data keys with wrapping keys that stay with it. It must be safe
// for concurrent use. A [Keyring] is one; a cloud's key management service fits
// behind it in a few lines.
type Provider interface {
	// KeyID names the wrapping key that Wrap uses now. It is a label, not a
	// secret: an ARN, a resource name, a date.
	KeyID() string
	// Wrap encrypts a data key of 32 bytes so that it can be unwrapped with the
	// same binding alone.
	Wrap(ctx context.Context, dataKey []byte, b Binding) (Wrapped, error)
	// Unwrap returns the data key, which is the caller's to overwrite. The error
	// wraps ErrUnknownKey if the wrapping key is not there (any more), and
	// ErrUnwrap if the binding or the wrapped key is another than Wrap's. Any other
	// error means that it could not be tried.
	Unwrap(ctx context.Context, w Wrapped, b Binding) ([]byte, error)
}

// Rewrapper is a [Provider] that moves a data key to its current wrapping key
// without handing it out, such as KMS ReEncrypt.
type Rewrapper interface {
	Rewrap(ctx context.Context, w Wrapped, b Binding) (Wrapped, error)
}

// Wrapped is a data key encrypted by a [Provider].
type Wrapped struct {
	KeyID string // of the wrapping key
	Blob  []byte
}

// Binding is what a wrapped data key belongs to. It is authenticated with it, so
// that a record copied to another tenant does not unwrap.
type Binding struct {
	Tenant  tenant.ID
	Purpose Purpose
	Version uint32
}

// Map returns b as an encryption context, as AWS KMS takes it.
func (b Binding) Map() map[string]string {
	return map[string]string{
		"tenant":  string(b.Tenant),
		"purpose": string(b.Purpose),
		"version": strconv.FormatUint(uint64(b.Version), 10),
	}
}

// AAD returns b as additional authenticated data, as Google Cloud KMS and plain
// AEADs take it. No two bindings have the same.
func (b Binding) AAD() []byte {
	aad := append(make([]byte, 0, 96), "tenancy/envelope/data-key/1"...)
	aad = appendPart(aad, string(b.Tenant))
	aad = appendPart(aad, string(b.Purpose))
	return binary.BigEndian.AppendUint32(aad, b.Version)
}

// appendPart appends a string and its length, so that no two lists of strings
// look the same.
func appendPart(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s))) //nolint:gosec // no string here reaches 4 GiB
	return append(dst, s...)
}

// Purpose is what a tenant's data key is for. Each has a key of its own, which is
// rotated by itself.
type Purpose string

// The purposes that this package uses. [Keys.Writer] takes any other.
const (
	Fields  Purpose = "fields"  // sealed columns
	Indexes Purpose = "indexes" // blind indexes
)

const maxPurpose = 63

// Validate returns an error unless p is 1 to 63 lower-case letters, digits, dots,
// hyphens and underscores.
func (p Purpose) Validate() error {
	valid := p != "" && len(p) <= maxPurpose
	for i := 0; valid && i < len(p); i++ {
		c := p[i]
		valid = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
	}
	if !valid {
		return fmt.Errorf("envelope: purpose %.70q: want 1 to %d lower-case letters, digits, dots, hyphens and underscores", string(p), maxPurpose)
	}
	return nil
}
