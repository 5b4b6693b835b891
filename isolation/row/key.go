package row

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

const (
	minSecret = 32
	maxKeyID  = 32
)

// Key signs the tokens of [Sealed] and [Signed]. Whoever has it can be any tenant,
// so it is kept as a password is: the application has it, and the database in a table
// that no tenant reads. It prints as its ID alone.
type Key struct {
	id     string
	secret []byte
}

// NewKey returns a key of 32 or more random bytes, such as crypto/rand's. Its ID
// tells it from those before and after it: 1 to 32 lower-case letters, digits and
// hyphens, such as 2026-11. IDs are never used again for other bytes.
func NewKey(id string, secret []byte) (Key, error) {
	if id == "" || len(id) > maxKeyID {
		return Key{}, fmt.Errorf("isolation/row: ID of a key has %d characters: want 1 to %d", len(id), maxKeyID)
	}
	for _, c := range []byte(id) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return Key{}, fmt.Errorf("isolation/row: ID of key %q: want lower-case letters, digits and hyphens", id)
		}
	}
	if len(secret) < minSecret {
		return Key{}, fmt.Errorf("isolation/row: key %s has %d bytes: want %d or more, at random", id, len(secret), minSecret)
	}
	if bytes.Count(secret, secret[:1]) == len(secret) {
		return Key{}, fmt.Errorf("isolation/row: key %s repeats one byte: want bytes of crypto/rand", id)
	}
	return Key{id: id, secret: bytes.Clone(secret)}, nil
}

// ID returns the key's name.
func (k Key) ID() string { return k.id }

// String returns the ID, and nothing of the secret.
func (k Key) String() string { return "key " + k.id }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// sign returns a token: claim, which begins with the key's ID, behind its
// HMAC-SHA256. Purpose keeps tokens of one use from another.
func (k Key) sign(purpose, claim string) string {
	return hex.EncodeToString(k.mac(purpose, claim)) + "." + claim
}

func (k Key) mac(purpose, claim string) []byte {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(purpose + "." + claim))
	return mac.Sum(nil)
}

// pads are what HMAC makes of the secret (RFC 2104): the database computes
// sha256(outer || sha256(inner || message)).
func (k Key) pads() (inner, outer []byte) {
	var block [sha256.BlockSize]byte
	if secret := k.secret; len(secret) > len(block) {
		sum := sha256.Sum256(secret)
		copy(block[:], sum[:])
	} else {
		copy(block[:], secret)
	}
	inner, outer = make([]byte, len(block)), make([]byte, len(block))
	for i, b := range block {
		inner[i], outer[i] = b^0x36, b^0x5c
	}
	return inner, outer
}

// checkKeys returns an error unless keys are valid and their IDs differ.
func checkKeys(keys []Key) error {
	seen := map[string]bool{}
	for _, k := range keys {
		if k.id == "" {
			return errors.New("isolation/row: empty key: make keys with row.NewKey")
		}
		if seen[k.id] {
			return fmt.Errorf("isolation/row: %s is given twice", k)
		}
		seen[k.id] = true
	}
	return nil
}
