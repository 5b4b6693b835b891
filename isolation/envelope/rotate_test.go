package envelope_test

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

func versionOf(t testing.TB, s envelope.Sealed) uint32 {
	t.Helper()
	v, err := s.KeyVersion()
	require.NoError(t, err)
	return v
}

func TestRotation(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	k := fresh(t, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	old := seal(t, k, "acme", ssn, "secret")
	other := seal(t, k, "globex", ssn, "theirs")
	version, err := k.Rotate(as(t, "acme"), envelope.Fields)
	require.NoError(t, err)
	require.EqualValues(t, 2, version)

	requireOpens(t, k, "acme", ssn, old, "secret")
	newer := seal(t, k, "acme", ssn, "secret")
	assert.EqualValues(t, 2, versionOf(t, newer))
	requireOpens(t, k, "globex", ssn, other, "theirs")
	assert.EqualValues(t, 1, versionOf(t, seal(t, k, "globex", ssn, "theirs")), "each tenant by itself")

	again, changed, err := k.Reseal(as(t, "acme"), ssn, old)
	require.NoError(t, err)
	require.True(t, changed)
	requireOpens(t, k, "acme", ssn, again, "secret")
	assert.EqualValues(t, 2, versionOf(t, again))
	same, changed, err := k.Reseal(as(t, "acme"), ssn, again)
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Equal(t, again, same)
	_, _, err = k.Reseal(as(t, "globex"), ssn, again)
	require.ErrorIs(t, err, envelope.ErrOpen)

	clock.Advance(time.Minute)
	n, err := k.Retire(as(t, "acme"), envelope.Fields, 2)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	_, err = k.Open(as(t, "acme"), ssn, old)
	require.ErrorIs(t, err, envelope.ErrOpen)
	requireOpens(t, k, "acme", ssn, again, "secret")
	requireOpens(t, k, "globex", ssn, other, "theirs")
}

// No version is destroyed that another process may still take for the newest.
func TestRetireWaits(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	s := envelope.NewMemoryStore()
	here := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	there := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	retire := func(below uint32) (int, error) { return here.Retire(as(t, "acme"), envelope.Fields, below) }
	n, err := retire(2)
	require.NoError(t, err, "there is no key at all")
	assert.Zero(t, n)
	_ = seal(t, there, "acme", ssn, "version 1")
	for range 2 {
		clock.Advance(30 * time.Second)
		_, err := here.Rotate(as(t, "acme"), envelope.Fields)
		require.NoError(t, err)
		_, err = retire(9)
		require.ErrorIs(t, err, envelope.ErrTooSoon)
	}
	n, err = retire(1)
	require.NoError(t, err, "nothing is below version 1")
	assert.Zero(t, n)

	clock.Advance(30*time.Second - time.Microsecond)
	late := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	assert.EqualValues(t, 3, versionOf(t, seal(t, late, "acme", ssn, "text")))
	_, err = retire(2) // version 2 is a moment too young
	require.ErrorIs(t, err, envelope.ErrTooSoon)
	clock.Advance(2 * time.Microsecond)
	_, err = retire(3)
	require.ErrorIs(t, err, envelope.ErrTooSoon)
	n, err = retire(2)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.EqualValues(t, 3, versionOf(t, seal(t, there, "acme", ssn, "text")), "nobody seals with version 1 by now")
}

// What one process seals with a new version opens in another that has not heard of it,
// and that one writes with its old version for a TTL at most.
func TestRotationReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	s := envelope.NewMemoryStore()
	here := newKeys(t, keyring(t, "a"), s)
	there := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	_ = seal(t, there, "acme", ssn, "before")
	for range 3 {
		_, err := here.Rotate(as(t, "acme"), envelope.Fields)
		require.NoError(t, err)
	}
	clock.Advance(time.Minute - 1)
	assert.EqualValues(t, 1, versionOf(t, seal(t, there, "acme", ssn, "text")))
	requireOpens(t, there, "acme", ssn, seal(t, here, "acme", ssn, "newer"), "newer")
	clock.Advance(1)
	assert.EqualValues(t, 4, versionOf(t, seal(t, there, "acme", ssn, "text")))
}

func TestManyRotateAtOnce(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	first := newKeys(t, keyring(t, "a"), s)
	sealed := seal(t, first, "acme", ssn, "secret")
	errs := make(chan error)
	for range 16 {
		k := newKeys(t, keyring(t, "a"), s)
		go func() {
			_, err := k.Rotate(as(t, "acme"), envelope.Fields)
			if err == nil {
				_, err = k.Open(as(t, "acme"), ssn, sealed)
			}
			errs <- err
		}()
	}
	for range 16 {
		require.NoError(t, <-errs)
	}
	records, err := s.Load(t.Context(), "acme", envelope.Fields)
	require.NoError(t, err)
	for i, r := range records {
		assert.EqualValues(t, i+1, r.Version, "no gaps")
	}
}

func TestRotationByAge(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	p := newKMS(t)
	k := newKeys(t, p, envelope.NewMemoryStore(), envelope.WithClock(clock.Now), envelope.WithMaxAge(24*time.Hour), envelope.WithTTL(time.Hour))
	x, err := k.Index("patients", "ssn")
	require.NoError(t, err)
	_, err = x.Token(as(t, "acme"), "text")
	require.NoError(t, err)
	old := seal(t, k, "acme", ssn, "secret")
	clock.Advance(24*time.Hour - time.Second)
	assert.EqualValues(t, 1, versionOf(t, seal(t, k, "acme", ssn, "text")))

	clock.Advance(time.Second) // the provider fails to wrap, not to unwrap
	wraps, _ := p.counts()
	p.set(true)
	assert.EqualValues(t, 1, versionOf(t, seal(t, k, "acme", ssn, "text")), "the old key goes on")
	p.set(false)
	assert.EqualValues(t, 1, versionOf(t, seal(t, k, "acme", ssn, "text")), "and is not tried at every use")
	after, _ := p.counts()
	assert.Equal(t, wraps+1, after)
	clock.Advance(time.Hour)
	assert.EqualValues(t, 2, versionOf(t, seal(t, k, "acme", ssn, "text")))
	requireOpens(t, k, "acme", ssn, old, "secret")

	tokens, err := x.Tokens(as(t, "acme"), "text")
	require.NoError(t, err)
	assert.Len(t, tokens, 1, "indexes are not rotated by age")
}

func TestRewrap(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	before := newKeys(t, keyring(t, "a"), s)
	sealed := make(map[tenant.ID]envelope.Sealed)
	for i := range 450 {
		id := tenant.ID(fmt.Sprintf("t-%d", i))
		sealed[id] = seal(t, before, id, ssn, string(id))
	}
	between := newKeys(t, keyring(t, "b", "a"), s)
	_ = seal(t, between, "new", ssn, "wrapped by b already")
	counts, err := between.WrappingKeys(system(t))
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"a": 450, "b": 1}, counts)

	var seen []int
	report, err := between.Rewrap(system(t), func(r envelope.RewrapReport) { seen = append(seen, r.Rewrapped+r.Current) })
	require.NoError(t, err)
	assert.Equal(t, envelope.RewrapReport{Current: 1, Rewrapped: 450}, report)
	assert.Equal(t, []int{200, 400, 451}, seen)
	report, err = between.Rewrap(system(t), nil)
	require.NoError(t, err)
	assert.Equal(t, envelope.RewrapReport{Current: 451}, report, "nothing is left to do")

	after := newKeys(t, keyring(t, "b"), s) // key a is destroyed
	for id, c := range sealed {
		requireOpens(t, after, id, ssn, c, string(id))
	}
	_, err = newKeys(t, keyring(t, "a"), s).Open(as(t, "t-1"), ssn, sealed["t-1"])
	require.ErrorIs(t, err, envelope.ErrUnknownKey)
}

// fuse is a provider that stops working after so many calls.
type fuse struct {
	*envelope.Keyring
	left *atomic.Int64
}

func (f fuse) Wrap(ctx context.Context, key []byte, b envelope.Binding) (envelope.Wrapped, error) {
	if f.left.Add(-1) < 0 {
		return envelope.Wrapped{}, errDown
	}
	return f.Keyring.Wrap(ctx, key, b)
}

func TestRewrapGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s)
	sealed := make(map[tenant.ID]envelope.Sealed)
	for i := range 20 {
		id := tenant.ID(fmt.Sprintf("t-%d", i))
		sealed[id] = seal(t, k, id, ssn, string(id))
	}
	done := 0
	for i := range 4 {
		left := new(atomic.Int64)
		left.Store(int64(4 + i))
		k := newKeys(t, fuse{keyring(t, "b", "a"), left}, s)
		report, err := k.Rewrap(system(t), nil)
		done += report.Rewrapped
		if i < 3 {
			require.ErrorIs(t, err, envelope.ErrUnavailable)
		}
		for id, c := range sealed {
			requireOpens(t, k, id, ssn, c, string(id))
		}
	}
	assert.Equal(t, 20, done, "none twice")
}

// Data keys that are lost already are listed, and do not keep the others.
func TestRewrapGoesPastWhatIsLost(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s)
	_ = seal(t, k, "acme", ssn, "secret")
	for _, lost := range []envelope.Record{
		{Tenant: "broken", Purpose: "fields", Version: 1, Wrapped: envelope.Wrapped{KeyID: "a", Blob: []byte("none")}},
		{Tenant: "older", Purpose: "fields", Version: 1, Wrapped: envelope.Wrapped{KeyID: "gone", Blob: []byte("none")}},
	} {
		require.NoError(t, s.Create(t.Context(), lost))
	}
	report, err := newKeys(t, keyring(t, "b", "a"), s).Rewrap(system(t), nil)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Rewrapped)
	require.Len(t, report.Failed, 2)
	for _, f := range report.Failed {
		want := map[tenant.ID]error{"broken": envelope.ErrUnwrap, "older": envelope.ErrUnknownKey}[f.Binding.Tenant]
		require.ErrorIs(t, f.Err, want)
	}
}

// oneWay is a provider whose new key encrypts and does not decrypt, as a role without
// the right to decrypt has it.
type oneWay struct{ *envelope.Keyring }

func (p oneWay) Unwrap(ctx context.Context, w envelope.Wrapped, b envelope.Binding) ([]byte, error) {
	if w.KeyID == "b" {
		return nil, errDown
	}
	return p.Keyring.Unwrap(ctx, w, b)
}

// other is a provider that wraps another key than it is given.
type other struct{ *envelope.Keyring }

func (p other) Wrap(ctx context.Context, _ []byte, b envelope.Binding) (envelope.Wrapped, error) {
	return p.Keyring.Wrap(ctx, bytes.Repeat([]byte{1}, 32), b)
}

func TestRewrapKeepsWhatItCannotOpenAgain(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s)
	sealed := seal(t, k, "acme", ssn, "secret")
	for _, p := range []envelope.Provider{oneWay{keyring(t, "b", "a")}, other{keyring(t, "b", "a")}} {
		_, err := newKeys(t, p, s).Rewrap(system(t), nil)
		require.ErrorIs(t, err, envelope.ErrUnavailable)
		requireOpens(t, newKeys(t, keyring(t, "a"), s), "acme", ssn, sealed, "secret")
	}
}

// reencrypting is a provider that never hands a key out to wrap it anew.
type reencrypting struct {
	*envelope.Keyring
	calls atomic.Int64
}

func (p *reencrypting) Rewrap(ctx context.Context, w envelope.Wrapped, b envelope.Binding) (envelope.Wrapped, error) {
	p.calls.Add(1)
	key, err := p.Unwrap(ctx, w, b)
	if err != nil {
		return envelope.Wrapped{}, err
	}
	return p.Wrap(ctx, key, b)
}

func TestRewrapLeavesItToTheProvider(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	sealed := seal(t, newKeys(t, keyring(t, "a"), s), "acme", ssn, "secret")
	p := &reencrypting{Keyring: keyring(t, "b", "a")}
	report, err := newKeys(t, p, s).Rewrap(system(t), nil)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Rewrapped)
	assert.EqualValues(t, 1, p.calls.Load())
	requireOpens(t, newKeys(t, keyring(t, "b"), s), "acme", ssn, sealed, "secret")
}

// A process that has cached the records of before, and has the new wrapping key alone
// when it comes to an old version, reads them again.
func TestRewrapReachesProcessesThatCached(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s)
	old := seal(t, k, "acme", ssn, "old")
	_, err := k.Rotate(as(t, "acme"), envelope.Fields)
	require.NoError(t, err)
	p := &replaceable{Provider: keyring(t, "b", "a")}
	there := newKeys(t, p, s)
	_ = seal(t, there, "acme", ssn, "unwraps version 2 alone")
	_, err = newKeys(t, keyring(t, "b", "a"), s).Rewrap(system(t), nil)
	require.NoError(t, err)
	p.Provider = keyring(t, "b")
	requireOpens(t, there, "acme", ssn, old, "old")
}

type replaceable struct{ envelope.Provider }
