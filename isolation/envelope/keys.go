package envelope

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/tenancy-go/tenancy/tenant"
)

// Keys seals and opens with the keys of the context's tenant. It is safe for
// concurrent use.
type Keys struct {
	provider Provider
	store    Store
	config   config
	flights  singleflight.Group
	plans    sync.Map // reflect.Type of a struct to *plan

	mu    sync.Mutex // guards all below
	rings *simplelru.LRU[ringID, *ring]
	epoch uint64 // counts what was forgotten
}

// New returns the keys that store has, wrapped by provider.
func New(provider Provider, store Store, opts ...Option) (*Keys, error) {
	if provider == nil || store == nil {
		return nil, errors.New("envelope: want a provider and a store, not nil")
	}
	k := &Keys{provider: provider, store: store, config: config{
		ttl: 5 * time.Minute, rings: 10_000, timeout: 10 * time.Second, now: time.Now,
	}}
	for _, opt := range opts {
		opt(&k.config)
	}
	if err := k.config.check(); err != nil {
		return nil, err
	}
	var err error
	k.rings, err = simplelru.NewLRU(k.config.rings, func(_ ringID, r *ring) { r.drop() })
	if err != nil {
		return nil, fmt.Errorf("envelope: %w", err)
	}
	return k, nil
}

// Seal encrypts plaintext for a column of the context's tenant. The tenant's first
// use makes its key.
func (k *Keys) Seal(ctx context.Context, c Column, plaintext []byte) (Sealed, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	key, err := k.current(ctx, ringID{id, Fields})
	if err != nil {
		return nil, err
	}
	box := make([]byte, 0, versionEnd+len(plaintext)+overhead)
	box = append(box, kindField, byte(key.version>>24), byte(key.version>>16), byte(key.version>>8), byte(key.version))
	return key.fields.Seal(box, plaintext, c.appendAAD(make([]byte, 0, aadSize), id, key.version))
}

// Open decrypts what Seal made for the same column of the same tenant. For
// anything else the error wraps [ErrOpen].
func (k *Keys) Open(ctx context.Context, c Column, s Sealed) ([]byte, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return nil, err
	}
	version, err := s.KeyVersion()
	if err != nil {
		return nil, refused(c)
	}
	key, err := k.version(ctx, ringID{id, Fields}, version)
	if errors.Is(err, ErrOpen) {
		return nil, refused(c)
	}
	if err != nil {
		return nil, err
	}
	plaintext, err := key.fields.Open(nil, s[versionEnd:], c.appendAAD(make([]byte, 0, aadSize), id, version))
	if err != nil {
		return nil, refused(c)
	}
	return plaintext, nil
}

const (
	overhead = 40  // of XAES-256-GCM
	aadSize  = 160 // enough for most, so that it is allocated once
)

func refused(c Column) error { return fmt.Errorf("%w: %s.%s", ErrOpen, c.Table, c.Name) }

// Ensure makes the context's tenant's keys for purposes that have none yet, such
// as when a tenant is set up. What seals makes them too.
func (k *Keys) Ensure(ctx context.Context, purposes ...Purpose) error {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return err
	}
	for _, p := range purposes {
		if err := p.Validate(); err != nil {
			return err
		}
		if _, err := k.current(ctx, ringID{id, p}); err != nil {
			return err
		}
	}
	return nil
}

// Forget drops a tenant's keys from memory, overwritten, so that they are read
// again. Call it where another process is known to have shredded the tenant.
func (k *Keys) Forget(id tenant.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch++
	for _, ring := range k.rings.Keys() {
		if ring.tenant == id {
			k.rings.Remove(ring)
		}
	}
}

// ForgetAll drops every key from memory, overwritten, such as at the end of a
// process.
func (k *Keys) ForgetAll() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch++
	k.rings.Purge()
}

// Format prints the type's name, whatever the verb: no key is ever printed.
func (k *Keys) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("envelope.Keys")) }
