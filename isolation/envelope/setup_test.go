package envelope_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

var ssn = envelope.Column{Table: "patients", Name: "ssn"}

func as(t testing.TB, id tenant.ID) context.Context { return tenanttest.Context(t, id) }

func system(t testing.TB) context.Context { return tenant.System(t.Context(), "test") }

func keyring(t testing.TB, current string, others ...string) *envelope.Keyring {
	t.Helper()
	keys := make(map[string][]byte)
	for _, id := range append(others, current) {
		keys[id] = bytes.Repeat([]byte(id)[:1], 32)
	}
	r, err := envelope.NewKeyring(current, keys)
	require.NoError(t, err)
	return r
}

func newKeys(t testing.TB, p envelope.Provider, s envelope.Store, opts ...envelope.Option) *envelope.Keys {
	t.Helper()
	k, err := envelope.New(p, s, opts...)
	require.NoError(t, err)
	return k
}

// fresh returns keys with nothing shared.
func fresh(t testing.TB, opts ...envelope.Option) *envelope.Keys {
	t.Helper()
	return newKeys(t, keyring(t, "a"), envelope.NewMemoryStore(), opts...)
}

func seal(t testing.TB, k *envelope.Keys, id tenant.ID, c envelope.Column, text string) envelope.Sealed {
	t.Helper()
	s, err := k.Seal(as(t, id), c, []byte(text))
	require.NoError(t, err)
	return s
}

func requireOpens(t testing.TB, k *envelope.Keys, id tenant.ID, c envelope.Column, s envelope.Sealed, want string) {
	t.Helper()
	got, err := k.Open(as(t, id), c, s)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

var errDown = errors.New("connection refused")

// kms is a provider that counts calls and can be down or slow.
type kms struct {
	envelope.Provider
	mu      sync.Mutex
	down    bool
	wraps   int
	unwraps int
	hold    chan struct{} // if not nil, Unwrap waits for it to be closed
	entered chan struct{} // if not nil, gets a value as Unwrap begins
}

func newKMS(t testing.TB) *kms { return &kms{Provider: keyring(t, "a")} }

func (p *kms) set(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *kms) counts() (wraps, unwraps int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wraps, p.unwraps
}

func (p *kms) Wrap(ctx context.Context, key []byte, b envelope.Binding) (envelope.Wrapped, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wraps++
	if p.down {
		return envelope.Wrapped{}, errDown
	}
	return p.Provider.Wrap(ctx, key, b)
}

func (p *kms) Unwrap(ctx context.Context, w envelope.Wrapped, b envelope.Binding) ([]byte, error) {
	p.mu.Lock()
	p.unwraps++
	down, hold, entered := p.down, p.hold, p.entered
	p.mu.Unlock()
	if entered != nil {
		entered <- struct{}{}
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if down {
		return nil, errDown
	}
	return p.Provider.Unwrap(ctx, w, b)
}

// store is a memory store whose reads can be counted and can fail.
type store struct {
	*envelope.MemoryStore
	mu    sync.Mutex
	down  bool
	loads int
}

func newStore() *store { return &store{MemoryStore: envelope.NewMemoryStore()} }

func (s *store) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *store) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

func (s *store) Load(ctx context.Context, id tenant.ID, p envelope.Purpose) ([]envelope.Record, error) {
	s.mu.Lock()
	s.loads++
	down := s.down
	s.mu.Unlock()
	if down {
		return nil, errDown
	}
	return s.MemoryStore.Load(ctx, id, p)
}

// copied returns a store with the same content: a backup.
func copied(t testing.TB, from envelope.Store) *envelope.MemoryStore {
	t.Helper()
	to := envelope.NewMemoryStore()
	records, err := from.List(t.Context(), envelope.Position{}, 1<<20)
	require.NoError(t, err)
	for _, r := range records {
		require.NoError(t, to.Create(t.Context(), r))
	}
	return to
}
