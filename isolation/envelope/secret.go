package envelope

import (
	"encoding/base64"
	"fmt"
	"log/slog"
)

const (
	keySize  = 32
	redacted = "[redacted]"
)

// secret is key material. It prints as [redacted], whatever the verb; packages
// that print by reflection reach it only through a pointer, which they print as
// an address.
type secret [keySize]byte

func (s secret) String() string               { return redacted }
func (s secret) GoString() string             { return redacted }
func (s secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redacted)) }

// parseSecret reads a key in base64, of which it leaves no copy behind.
func parseSecret(text []byte) (*secret, error) {
	var buf [keySize + 3]byte // DecodedLen counts the padding
	defer clear(buf[:])
	if base64.StdEncoding.DecodedLen(len(text)) > len(buf) {
		return nil, errKeyText
	}
	n, err := base64.StdEncoding.Strict().Decode(buf[:], text)
	if err != nil || n != keySize {
		return nil, errKeyText // the decoder's error would quote the text
	}
	s := secret(buf[:keySize])
	return &s, nil
}

var errKeyText = fmt.Errorf("envelope: want a key of %d bytes in base64", keySize)
