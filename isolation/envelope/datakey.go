package envelope

import (
	"crypto/hkdf"
	"crypto/sha256"
	"sync"

	"github.com/tenancy-go/tenancy/isolation/internal/xaes"
)

// dataKey is an unwrapped data key. Nothing is encrypted with it; each use has a
// key derived from it by HKDF (RFC 5869), whose extraction is left out, since a
// data key is uniformly random.
type dataKey struct {
	version uint32
	fields  *xaes.Key

	mu   sync.RWMutex
	root *secret // guarded by mu; nil once dropped
}

// newDataKey takes over raw, which it overwrites.
func newDataKey(version uint32, raw []byte) (*dataKey, error) {
	defer clear(raw)
	root := secret(raw)
	k := &dataKey{version: version, root: &root}
	derived, err := k.derive(keySize, "fields")
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	k.fields, err = xaes.New(derived)
	return k, err
}

// derive returns n bytes that depend on the data key and every part. The error is
// errOutdated once the key was dropped.
func (k *dataKey) derive(n int, use string, parts ...string) ([]byte, error) {
	info := append(make([]byte, 0, 160), "tenancy/envelope/derive/1"...)
	info = appendPart(info, use)
	for _, part := range parts {
		info = appendPart(info, part)
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.root == nil {
		return nil, errOutdated
	}
	return hkdf.Expand(sha256.New, k.root[:], string(info), n)
}

// drop overwrites the key. What crypto/aes expanded from it cannot be reached and
// goes with the next garbage collection.
func (k *dataKey) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.root != nil {
		clear(k.root[:])
		k.root = nil
	}
}
