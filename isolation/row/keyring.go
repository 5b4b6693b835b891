package row

import (
	"slices"
	"sync"
)

// keyring holds the keys of a strategy. The first signs.
type keyring struct {
	mu   sync.RWMutex
	keys []Key // guarded by mu
}

func newKeyring(keys []Key) *keyring { return &keyring{keys: slices.Clone(keys)} }

// signer returns the key that signs.
func (r *keyring) signer() Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[0]
}

// all returns the keys.
func (r *keyring) all() []Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.keys)
}

// promote makes key the one that signs.
func (r *keyring) promote(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = slices.Insert(slices.DeleteFunc(r.keys, func(k Key) bool { return k.id == key.id }), 0, key)
}

// drop forgets a key that does not sign.
func (r *keyring) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	signer := r.keys[0].id
	r.keys = slices.DeleteFunc(r.keys, func(k Key) bool { return k.id == id && id != signer })
}
