package envelope

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/tenancy-go/tenancy/isolation/internal/xaes"
)

// Keyring is a [Provider] whose wrapping keys are in this process's memory. One of
// them wraps; all unwrap. [OpenKeyring] reads it from a file, [KeyringFromEnv] from
// the environment.
type Keyring struct {
	current string
	keys    map[string]*xaes.Key
}

var _ Provider = (*Keyring)(nil)

// NewKeyring returns a keyring of wrapping keys of 32 random bytes by their IDs, of
// which it keeps the expanded form alone: the caller may overwrite them. current is
// the ID of the one that wraps.
func NewKeyring(current string, keys map[string][]byte) (*Keyring, error) {
	r := &Keyring{current: current, keys: make(map[string]*xaes.Key, len(keys))}
	for id, key := range keys {
		if err := checkKeyID(id); err != nil {
			return nil, err
		}
		expanded, err := xaes.New(key)
		if err != nil {
			return nil, fmt.Errorf("envelope: wrapping key %q: %w", id, err)
		}
		r.keys[id] = expanded
	}
	if r.keys[current] == nil {
		return nil, fmt.Errorf("envelope: the current wrapping key %q is not among %q", current, slices.Sorted(maps.Keys(r.keys)))
	}
	return r, nil
}

const maxKeyID = 128

// checkKeyID returns an error unless id is 1 to 128 ASCII letters, digits, dots,
// hyphens and underscores. It ends up in files and in the environment.
func checkKeyID(id string) error {
	valid := id != "" && len(id) <= maxKeyID
	for i := 0; valid && i < len(id); i++ {
		c := id[i]
		valid = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_'
	}
	if !valid {
		return fmt.Errorf("envelope: ID of a wrapping key: want 1 to %d ASCII letters, digits, dots, hyphens and underscores", maxKeyID)
	}
	return nil
}

// KeyringFromEnv reads a keyring from an environment variable:
//
//	2026-11:base64,2025-06:base64
//
// The first wraps, all unwrap. Each key is 32 random bytes in base64, as
// "openssl rand -base64 32" prints them. What may read the process's environment
// may read the keys.
func KeyringFromEnv(name string) (*Keyring, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return nil, fmt.Errorf("envelope: environment variable %s is not set; want wrapping keys as ID:BASE64, separated by commas", name)
	}
	r, err := parseEnv([]byte(value))
	if err != nil {
		return nil, fmt.Errorf("environment variable %s: %w", name, err)
	}
	return r, nil
}

// parseEnv overwrites text.
func parseEnv(text []byte) (*Keyring, error) {
	defer clear(text)
	var current string
	keys := make(map[string][]byte)
	for i, entry := range bytes.Split(text, []byte{','}) {
		id, encoded, found := bytes.Cut(bytes.TrimSpace(entry), []byte{':'})
		if !found {
			return nil, fmt.Errorf("envelope: entry %d: want ID:BASE64", i+1)
		}
		if _, twice := keys[string(id)]; twice {
			return nil, fmt.Errorf("envelope: entry %d: its ID is there twice", i+1)
		}
		key, err := parseSecret(encoded)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		defer clear(key[:])
		keys[string(id)] = key[:]
		if i == 0 {
			current = string(id)
		}
	}
	return NewKeyring(current, keys)
}

// KeyID implements [Provider].
func (r *Keyring) KeyID() string { return r.current }

// Wrap implements [Provider].
func (r *Keyring) Wrap(_ context.Context, dataKey []byte, b Binding) (Wrapped, error) {
	blob, err := r.keys[r.current].Seal([]byte{kindKey}, dataKey, wrapAAD(r.current, b))
	return Wrapped{KeyID: r.current, Blob: blob}, err
}

// Unwrap implements [Provider].
func (r *Keyring) Unwrap(_ context.Context, w Wrapped, b Binding) ([]byte, error) {
	key, ok := r.keys[w.KeyID]
	if !ok {
		return nil, fmt.Errorf("%w: %.130q", ErrUnknownKey, w.KeyID)
	}
	if len(w.Blob) == 0 || w.Blob[0] != kindKey {
		return nil, ErrUnwrap
	}
	dataKey, err := key.Open(nil, w.Blob[1:], wrapAAD(w.KeyID, b))
	if err != nil {
		return nil, ErrUnwrap
	}
	return dataKey, nil
}

func wrapAAD(keyID string, b Binding) []byte { return appendPart(b.AAD(), keyID) }

// String names the IDs of r's wrapping keys, the current one first.
func (r *Keyring) String() string {
	ids := slices.Sorted(maps.Keys(r.keys))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == r.current })
	return fmt.Sprintf("envelope.Keyring%q", append([]string{r.current}, ids...))
}

// Format prints String, whatever the verb: no key is ever printed.
func (r *Keyring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }
