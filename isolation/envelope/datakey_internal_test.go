package envelope

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// Keys are overwritten where they are given up: the bytes that a provider hands over, and
// the copy in memory when it is dropped.
func TestKeysAreOverwritten(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{7}, keySize)
	k, err := newDataKey(1, raw)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, keySize), raw)
	root := k.root
	require.Equal(t, bytes.Repeat([]byte{7}, keySize), root[:])
	k.drop()
	k.drop()
	assert.Equal(t, secret{}, *root)
	_, err = k.derive(32, "use")
	require.ErrorIs(t, err, errOutdated)
}

func TestKeysAreOverwrittenWhenDropped(t *testing.T) {
	t.Parallel()
	acme := tenant.NewContext(t.Context(), tenant.Tenant{ID: "acme"})
	system := tenant.System(t.Context(), "test")
	for name, drop := range map[string]func(t *testing.T, k *Keys, now *time.Time){
		"forgotten":      func(_ *testing.T, k *Keys, _ *time.Time) { k.Forget("acme") },
		"all forgotten":  func(_ *testing.T, k *Keys, _ *time.Time) { k.ForgetAll() },
		"retired":        func(t *testing.T, k *Keys, now *time.Time) { retire(acme, t, k, now) },
		"shredded":       func(t *testing.T, k *Keys, _ *time.Time) { _, err := k.Shred(system, "acme"); require.NoError(t, err) },
		"pushed out":     func(t *testing.T, k *Keys, _ *time.Time) { require.NoError(t, k.Ensure(acme, "other")) },
		"past their TTL": func(t *testing.T, k *Keys, now *time.Time) { *now = now.Add(time.Hour); seal(acme, t, k) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ring, err := NewKeyring("a", map[string][]byte{"a": make([]byte, keySize)})
			require.NoError(t, err)
			now := time.Now()
			k, err := New(ring, NewMemoryStore(), WithMaxCached(1), WithClock(func() time.Time { return now }), WithTTL(time.Minute))
			require.NoError(t, err)
			seal(acme, t, k)
			key, err := k.current(acme, ringID{"acme", Fields})
			require.NoError(t, err)
			root := key.root
			require.NotEqual(t, secret{}, *root)
			drop(t, k, &now)
			assert.Equal(t, secret{}, *root)
		})
	}
}

func seal(ctx context.Context, t *testing.T, k *Keys) {
	t.Helper()
	_, err := k.Seal(ctx, Column{Table: "patients", Name: "ssn"}, nil)
	require.NoError(t, err)
}

func retire(ctx context.Context, t *testing.T, k *Keys, now *time.Time) {
	t.Helper()
	version, err := k.Rotate(ctx, Fields)
	require.NoError(t, err)
	*now = now.Add(time.Hour)
	_, err = k.Retire(ctx, Fields, version)
	require.NoError(t, err)
}

// The names of what is done at once by several callers do not run into each other.
func TestBindingsDiffer(t *testing.T) {
	t.Parallel()
	a := Binding{Tenant: "ab", Purpose: "c", Version: 1}
	for _, b := range []Binding{{"a", "bc", 1}, {"abc", "", 1}, {"ab", "c", 2}, {"ab", "c", 256}} {
		assert.NotEqual(t, a.AAD(), b.AAD())
		assert.NotEqual(t, a.Map(), b.Map())
	}
	assert.Equal(t, map[string]string{"tenant": "ab", "purpose": "c", "version": "1"}, a.Map())
}
