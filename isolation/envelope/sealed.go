package envelope

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation/internal/xaes"
)

// Kinds of ciphertext, the first byte of each. None occurs in UTF-8, so text is
// never taken for a ciphertext.
const (
	kindField  byte = 0xf8
	kindKey    byte = 0xf9
	kindStream byte = 0xfa
)

// versionEnd is where a header's key version ends: 1 byte of kind, then 4 bytes.
const versionEnd = 5

// Sealed is an encrypted field: one byte that says so, the key version (4 bytes,
// big-endian), then nonce (24 bytes), ciphertext and tag (16 bytes) of
// XAES-256-GCM. It is 45 bytes longer than its plaintext. Keep it in a column of
// type bytea or BLOB; nil is NULL.
type Sealed []byte

// KeyVersion returns the version of the data key that s was sealed with. The
// error wraps [ErrOpen] if s is no ciphertext of this kind.
func (s Sealed) KeyVersion() (uint32, error) {
	if len(s) < versionEnd+xaes.Overhead || s[0] != kindField {
		return 0, ErrOpen
	}
	version := binary.BigEndian.Uint32(s[1:])
	if version == 0 {
		return 0, ErrOpen
	}
	return version, nil
}

// Value implements driver.Valuer. What is no ciphertext is not written: the error
// wraps [ErrNotSealed].
func (s Sealed) Value() (driver.Value, error) {
	if s == nil {
		return nil, nil
	}
	if _, err := s.KeyVersion(); err != nil {
		return nil, ErrNotSealed
	}
	return []byte(s), nil
}

// Scan implements sql.Scanner. It takes any bytes; [Keys.Open] judges them.
func (s *Sealed) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		*s = nil
	case []byte:
		*s = append(make(Sealed, 0, len(v)), v...)
	case string:
		*s = Sealed(v)
	default:
		return fmt.Errorf("envelope: cannot read %T as a ciphertext; want a column of type bytea or BLOB", value)
	}
	return nil
}

// header is the beginning of all fields sealed with a key version.
func header(version uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{kindField}, version)
}

// isCurrent reports whether s was sealed with version.
func (s Sealed) isCurrent(version uint32) bool { return bytes.HasPrefix(s, header(version)) }
