package envelope_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/envelopetest"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

func TestMemoryStore(t *testing.T) {
	t.Parallel()
	envelopetest.TestStore(t, func(*testing.T) envelope.Store { return envelope.NewMemoryStore() })
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	for _, text := range []string{"", "078-05-1120", string(bytes.Repeat([]byte("long "), 20_000)), "\x00\xff"} {
		s := seal(t, k, "acme", ssn, text)
		assert.Len(t, s, len(text)+45)
		if len(text) > 3 {
			assert.NotContains(t, string(s), text[:4])
		}
		requireOpens(t, k, "acme", ssn, s, text)
		assert.NotEqual(t, s, seal(t, k, "acme", ssn, text), "the same text seals differently each time")
	}
}

// A ciphertext opens for its own tenant, table, column and row. Everything else, and
// garbage, is one and the same error.
func TestCiphertextsAreBound(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	s := seal(t, k, "acme", ssn.At("42"), "secret")
	_ = seal(t, k, "globex", ssn, "a key of its own")
	_, garbage := k.Open(as(t, "globex"), ssn.At("42"), bytes.Repeat([]byte{7}, 100))
	require.ErrorIs(t, garbage, envelope.ErrOpen)

	tests := []struct {
		name   string
		tenant tenant.ID
		column envelope.Column
	}{
		{"another tenant", "globex", ssn.At("42")},
		{"a tenant without a key", "initech", ssn.At("42")},
		{"another row", "acme", ssn.At("43")},
		{"no row", "acme", ssn},
		{"another column", "acme", envelope.Column{Table: "patients", Name: "ss", Row: "42"}},
		{"another table", "acme", envelope.Column{Table: "patient", Name: "ssn", Row: "42"}},
		{"names run together", "acme", envelope.Column{Table: "patient", Name: "sssn", Row: "42"}},
		{"column and row run together", "acme", envelope.Column{Table: "patients", Name: "ssn4", Row: "2"}},
	}
	for _, tt := range tests {
		_, err := k.Open(as(t, tt.tenant), tt.column, s)
		require.ErrorIs(t, err, envelope.ErrOpen, tt.name)
		_, noise := k.Open(as(t, tt.tenant), tt.column, bytes.Repeat([]byte{7}, 100))
		assert.Equal(t, noise.Error(), err.Error(), "%s: as garbage", tt.name)
	}
	requireOpens(t, k, "acme", ssn.At("42"), s, "secret")
}

func TestEveryChangeOfACiphertextShows(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	s := seal(t, k, "acme", ssn, "secret")
	ctx := as(t, "acme")
	for i := range s {
		for bit := range 8 {
			changed := bytes.Clone(s)
			changed[i] ^= 1 << bit
			_, err := k.Open(ctx, ssn, changed)
			require.ErrorIs(t, err, envelope.ErrOpen, "byte %d, bit %d", i, bit)
		}
		_, err := k.Open(ctx, ssn, s[:i])
		require.ErrorIs(t, err, envelope.ErrOpen, "cut to %d", i)
	}
	_, err := k.Open(ctx, ssn, append(bytes.Clone(s), 0))
	require.ErrorIs(t, err, envelope.ErrOpen)
	_, err = k.Open(ctx, ssn, nil)
	require.ErrorIs(t, err, envelope.ErrOpen)
}

func TestNothingHappensWithoutATenant(t *testing.T) {
	t.Parallel()
	p := newKMS(t)
	s := newStore()
	k := newKeys(t, p, s)
	x, err := k.Index("patients", "ssn")
	require.NoError(t, err)
	for want, ctx := range map[error]context.Context{tenant.ErrNoTenant: t.Context(), tenant.ErrSystem: system(t)} {
		_, err = k.Seal(ctx, ssn, []byte("text"))
		require.ErrorIs(t, err, want)
		_, err = k.Open(ctx, ssn, envelope.Sealed("text"))
		require.ErrorIs(t, err, want)
		_, err = x.Token(ctx, "text")
		require.ErrorIs(t, err, want)
		_, err = x.Tokens(ctx, "text")
		require.ErrorIs(t, err, want)
		_, err = k.Writer(ctx, &bytes.Buffer{}, "files", "")
		require.ErrorIs(t, err, want)
		_, err = k.Reader(ctx, &bytes.Buffer{}, "files", "")
		require.ErrorIs(t, err, want)
		_, err = k.ReaderAt(ctx, bytes.NewReader(nil), 0, "files", "")
		require.ErrorIs(t, err, want)
		_, err = k.Rotate(ctx, envelope.Fields)
		require.ErrorIs(t, err, want)
		_, err = k.Retire(ctx, envelope.Fields, 2)
		require.ErrorIs(t, err, want)
		_, err = k.Current(ctx, envelope.Fields)
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, k.Ensure(ctx, envelope.Fields), want)
		f := envelope.NewField("text")
		require.ErrorIs(t, f.Seal(ctx, k, ssn), want)
	}
	acme := as(t, "acme")
	_, err = k.Rewrap(acme, nil)
	require.ErrorIs(t, err, envelope.ErrNotSystem)
	_, err = k.WrappingKeys(acme)
	require.ErrorIs(t, err, envelope.ErrNotSystem)
	_, err = k.Shred(acme, "acme")
	require.ErrorIs(t, err, envelope.ErrNotSystem)
	_, err = k.Reapply(acme)
	require.ErrorIs(t, err, envelope.ErrNotSystem)
	wraps, unwraps := p.counts()
	assert.Zero(t, wraps+unwraps+s.count(), "nothing was asked")
}

// A wrapped key that is put in another's place does not unwrap.
func TestWrappedKeysAreBound(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	k := newKeys(t, keyring(t, "a"), s)
	sealed := seal(t, k, "acme", ssn, "secret")
	records, err := s.Load(t.Context(), "acme", envelope.Fields)
	require.NoError(t, err)

	for _, to := range []envelope.Position{{Tenant: "globex", Purpose: envelope.Fields}, {Tenant: "acme", Purpose: "archive"}} {
		stolen := records[0]
		stolen.Tenant, stolen.Purpose = to.Tenant, to.Purpose
		require.NoError(t, s.Create(t.Context(), stolen))
	}
	_, err = k.Open(as(t, "globex"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrUnwrap)
	_, err = k.Seal(as(t, "globex"), ssn, []byte("text"))
	require.ErrorIs(t, err, envelope.ErrUnwrap)
	_, err = k.Writer(as(t, "acme"), &bytes.Buffer{}, "archive", "")
	require.ErrorIs(t, err, envelope.ErrUnwrap)

	second := records[0]
	second.Version = 2
	require.NoError(t, s.Create(t.Context(), second))
	_, err = newKeys(t, keyring(t, "a"), s).Seal(as(t, "acme"), ssn, []byte("text"))
	require.ErrorIs(t, err, envelope.ErrUnwrap, "a key is bound to its version, too")
}

// The format is fixed: what this key sealed once opens for ever.
func TestFormatIsFixed(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	wrapped, err := hex.DecodeString(vectorWrapped)
	require.NoError(t, err)
	require.NoError(t, s.Create(t.Context(), envelope.Record{
		Tenant: "acme", Purpose: envelope.Fields, Version: 1, Wrapped: envelope.Wrapped{KeyID: "a", Blob: wrapped}, Created: time.Unix(1, 0),
	}))
	for _, p := range []envelope.Purpose{envelope.Indexes, "archive"} {
		wrapped, err := hex.DecodeString(map[envelope.Purpose]string{envelope.Indexes: vectorWrappedIndex, "archive": vectorWrappedStream}[p])
		require.NoError(t, err)
		require.NoError(t, s.Create(t.Context(), envelope.Record{
			Tenant: "acme", Purpose: p, Version: 1, Wrapped: envelope.Wrapped{KeyID: "a", Blob: wrapped}, Created: time.Unix(1, 0),
		}))
	}
	k := newKeys(t, keyring(t, "a"), s)
	sealed, err := hex.DecodeString(vectorSealed)
	require.NoError(t, err)
	requireOpens(t, k, "acme", ssn.At("42"), sealed, "078-05-1120")

	x, err := k.Index("patients", "ssn")
	require.NoError(t, err)
	token, err := x.Token(as(t, "acme"), "078-05-1120")
	require.NoError(t, err)
	assert.Equal(t, vectorToken, hex.EncodeToString(token))

	stream, err := hex.DecodeString(vectorStream)
	require.NoError(t, err)
	assert.Equal(t, "archived", read(t, k, "acme", stream))
}

func TestKeysAreReadOnceAndTogether(t *testing.T) {
	t.Parallel()
	p, s := newKMS(t), newStore()
	sealed := seal(t, newKeys(t, p, s), "acme", ssn, "secret")
	_, before := p.counts()
	loads := s.count()
	p.hold, p.entered = make(chan struct{}), make(chan struct{}, 100)

	k := newKeys(t, p, s)
	errs := make(chan error)
	for range 50 {
		go func() {
			_, err := k.Open(as(t, "acme"), ssn, sealed)
			errs <- err
		}()
	}
	<-p.entered
	close(p.hold)
	for range 50 {
		require.NoError(t, <-errs)
	}
	_, after := p.counts()
	assert.Equal(t, before+1, after, "one call for all")
	assert.Equal(t, loads+1, s.count(), "one read for all")
	requireOpens(t, k, "acme", ssn, sealed, "secret")
	assert.Equal(t, loads+1, s.count(), "and none later")
}

// Many goroutines, or processes, that make a tenant's first key agree on one.
func TestProcessesAgreeOnAKey(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	processes := make([]*envelope.Keys, 8)
	for i := range processes {
		processes[i] = newKeys(t, keyring(t, "a"), s)
	}
	type made struct {
		sealed envelope.Sealed
		err    error
	}
	results := make(chan made)
	for i := range 64 {
		go func() {
			sealed, err := processes[i%8].Seal(as(t, "acme"), ssn, []byte("secret"))
			results <- made{sealed, err}
		}()
	}
	for i := range 64 {
		r := <-results
		require.NoError(t, r.err)
		requireOpens(t, processes[(i+3)%8], "acme", ssn, r.sealed, "secret")
	}
	records, err := s.Load(t.Context(), "acme", envelope.Fields)
	require.NoError(t, err)
	assert.Len(t, records, 1)
}

// late is a store in which another process is always a moment earlier.
type late struct {
	*envelope.MemoryStore
	first *envelope.Keys
}

func (s late) Create(ctx context.Context, r envelope.Record) error {
	acme := tenant.NewContext(ctx, tenant.Tenant{ID: r.Tenant})
	if err := s.first.Ensure(acme, r.Purpose); err != nil {
		return err
	}
	return s.MemoryStore.Create(ctx, r)
}

func TestTheLoserTakesTheWinnersKey(t *testing.T) {
	t.Parallel()
	s := envelope.NewMemoryStore()
	first := newKeys(t, keyring(t, "a"), s)
	sealed := seal(t, newKeys(t, keyring(t, "a"), late{s, first}), "acme", ssn, "secret")
	requireOpens(t, first, "acme", ssn, sealed, "secret")
}

// While the provider is down, cached keys go on for their time. Then nothing opens, and
// nothing is sealed; certainly nothing is written in the clear.
func TestProviderDown(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	p, s := newKMS(t), newStore()
	k := newKeys(t, p, s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	sealed := seal(t, k, "acme", ssn, "secret")
	p.set(true)

	clock.Advance(time.Minute - 1)
	requireOpens(t, k, "acme", ssn, sealed, "secret")
	_ = seal(t, k, "acme", ssn, "more")
	_, err := k.Seal(as(t, "globex"), ssn, []byte("new tenant"))
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	require.ErrorIs(t, err, errDown)

	clock.Advance(1)
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	out, err := k.Seal(as(t, "acme"), ssn, []byte("text"))
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	assert.Nil(t, out)
	f := envelope.NewField("text")
	require.ErrorIs(t, f.Seal(as(t, "acme"), k, ssn), envelope.ErrUnavailable)
	_, err = f.Value()
	require.ErrorIs(t, err, envelope.ErrNotSealed)
	var buf bytes.Buffer
	_, err = k.Writer(as(t, "acme"), &buf, "archive", "")
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	assert.Zero(t, buf.Len())

	p.set(false)
	requireOpens(t, k, "acme", ssn, sealed, "secret")
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	s := newStore()
	k := newKeys(t, keyring(t, "a"), s, envelope.WithClock(clock.Now), envelope.WithTTL(time.Minute))
	sealed := seal(t, k, "acme", ssn, "secret")
	s.set(true)
	requireOpens(t, k, "acme", ssn, sealed, "secret")

	// A version that may be a new one has to be asked for. That costs the others nothing.
	newer := bytes.Clone(sealed)
	newer[4]++
	_, err := k.Open(as(t, "acme"), ssn, newer)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	requireOpens(t, k, "acme", ssn, sealed, "secret")

	clock.Advance(time.Minute)
	_, err = k.Open(as(t, "acme"), ssn, sealed)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
}

// panicking is a provider with a defect.
type panicking struct{ envelope.Provider }

func (panicking) Unwrap(context.Context, envelope.Wrapped, envelope.Binding) ([]byte, error) {
	panic("defect")
}

// short is a provider that returns half a key.
type short struct{ envelope.Provider }

func (p short) Unwrap(ctx context.Context, w envelope.Wrapped, b envelope.Binding) ([]byte, error) {
	key, err := p.Provider.Unwrap(ctx, w, b)
	return key[:16], err
}

func TestDefectiveProvidersAreErrors(t *testing.T) {
	t.Parallel()
	_, err := newKeys(t, panicking{keyring(t, "a")}, envelope.NewMemoryStore()).Seal(as(t, "acme"), ssn, nil)
	require.ErrorIs(t, err, envelope.ErrUnavailable)
	_, err = newKeys(t, short{keyring(t, "a")}, envelope.NewMemoryStore()).Seal(as(t, "acme"), ssn, nil)
	require.ErrorIs(t, err, envelope.ErrUnwrap)
}

func TestACallerNeedNotWait(t *testing.T) {
	t.Parallel()
	p := newKMS(t)
	p.hold, p.entered = make(chan struct{}), make(chan struct{}, 1)
	k := newKeys(t, p, envelope.NewMemoryStore())
	ctx, cancel := context.WithCancel(as(t, "acme"))
	done := make(chan error)
	go func() {
		_, err := k.Seal(ctx, ssn, nil)
		done <- err
	}()
	<-p.entered
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	close(p.hold) // what was begun goes on for others
	_ = seal(t, k, "acme", ssn, "text")
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	p := newKMS(t)
	k := newKeys(t, p, envelope.NewMemoryStore(), envelope.WithMaxCached(2))
	sealed := make(map[tenant.ID]envelope.Sealed)
	for i := range 3 {
		id := tenant.ID(fmt.Sprintf("t%d", i))
		sealed[id] = seal(t, k, id, ssn, string(id))
	}
	_, before := p.counts()
	requireOpens(t, k, "t1", ssn, sealed["t1"], "t1")
	requireOpens(t, k, "t2", ssn, sealed["t2"], "t2")
	_, after := p.counts()
	assert.Equal(t, before, after)
	requireOpens(t, k, "t0", ssn, sealed["t0"], "t0")
	_, after = p.counts()
	assert.Equal(t, before+1, after, "the one used longest ago was dropped")
}

// Versions out of reach do not lead to the store, however many are tried.
func TestInventedVersionsDoNotReachTheStore(t *testing.T) {
	t.Parallel()
	s := newStore()
	k := newKeys(t, keyring(t, "a"), s)
	sealed := seal(t, k, "acme", ssn, "secret")
	before := s.count()
	for i := range 100 {
		invented := bytes.Clone(sealed)
		invented[2] = byte(i + 1)
		_, err := k.Open(as(t, "acme"), ssn, invented)
		require.ErrorIs(t, err, envelope.ErrOpen)
	}
	assert.Equal(t, before, s.count())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	p, s := keyring(t, "a"), envelope.NewMemoryStore()
	_, err := envelope.New(nil, s)
	require.Error(t, err)
	_, err = envelope.New(p, nil)
	require.Error(t, err)
	for _, opt := range []envelope.Option{
		envelope.WithTTL(0), envelope.WithTimeout(0), envelope.WithMaxCached(0), envelope.WithMaxAge(-1), envelope.WithClock(nil),
	} {
		_, err = envelope.New(p, s, opt)
		require.Error(t, err)
	}
	k := fresh(t)
	for _, c := range []envelope.Column{{}, {Table: "patients"}, {Name: "ssn"}} {
		_, err = k.Seal(as(t, "acme"), c, nil)
		require.Error(t, err)
	}
	for _, p := range []envelope.Purpose{"", "Files", "a/b", "a b", envelope.Purpose(bytes.Repeat([]byte("a"), 64))} {
		require.Error(t, k.Ensure(as(t, "acme"), p))
		_, err = k.Rotate(as(t, "acme"), p)
		require.Error(t, err)
		_, err = k.Writer(as(t, "acme"), &bytes.Buffer{}, p, "")
		require.Error(t, err)
	}
	_, err = k.Writer(as(t, "acme"), &bytes.Buffer{}, envelope.Fields, "")
	require.Error(t, err)
}
