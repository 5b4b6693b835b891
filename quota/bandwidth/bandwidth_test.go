package bandwidth_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota/bandwidth"
	"github.com/tenancy-go/tenancy/tenant"
)

const quantum = 32 << 10

func as(ctx context.Context, id tenant.ID) context.Context {
	return tenant.NewContext(ctx, tenant.Tenant{ID: id})
}

type limitsFunc = func(context.Context, tenant.Tenant) (bandwidth.Limits, error)

// both are limits of the same rate in and out, for every tenant.
func both(bytesPerSecond, burst int64) limitsFunc {
	r := bandwidth.Rate{BytesPerSecond: bytesPerSecond, Burst: burst}
	return always(bandwidth.Limits{Ingress: r, Egress: r})
}

func always(limits bandwidth.Limits) limitsFunc {
	return func(context.Context, tenant.Tenant) (bandwidth.Limits, error) { return limits, nil }
}

// plans are limits that a test changes.
type plans struct {
	mu     sync.Mutex
	limits bandwidth.Limits
	err    error
	asked  int
}

func (p *plans) of(context.Context, tenant.Tenant) (bandwidth.Limits, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	return p.limits, p.err
}

func (p *plans) set(bytesPerSecond int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := bandwidth.Rate{BytesPerSecond: bytesPerSecond}
	p.limits, p.err = bandwidth.Limits{Ingress: r, Egress: r}, err
}

func (p *plans) times() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func newShaper(t testing.TB, limits limitsFunc, opts ...bandwidth.Option) *bandwidth.Shaper {
	t.Helper()
	s, err := bandwidth.New(limits, opts...)
	require.NoError(t, err)
	return s
}

func newWriter(t testing.TB, ctx context.Context, s *bandwidth.Shaper, w io.Writer) io.WriteCloser { //nolint:revive // t first, as in testify
	t.Helper()
	limited, err := s.Writer(ctx, w)
	require.NoError(t, err)
	return limited
}

func newReader(t testing.TB, ctx context.Context, s *bandwidth.Shaper, r io.Reader) io.ReadCloser { //nolint:revive // t first, as in testify
	t.Helper()
	limited, err := s.Reader(ctx, r)
	require.NoError(t, err)
	return limited
}

// bytesOf returns n bytes that are not all the same.
func bytesOf(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7 / 3)
	}
	return p
}

// endless is a reader without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := bandwidth.New(nil)
	assert.Error(t, err)
	for name, opt := range map[string]bandwidth.Option{
		"wait":    bandwidth.WithMaxWait(0),
		"quantum": bandwidth.WithQuantum(0),
		"refresh": bandwidth.WithRefresh(0),
		"handler": bandwidth.WithErrorHandler(nil),
	} {
		_, err := bandwidth.New(both(1, 1), opt)
		assert.Error(t, err, name)
	}
	_, err = bandwidth.New(both(1, 1), bandwidth.WithRefusal(), bandwidth.WithMaxWait(time.Second))
	assert.Error(t, err)
}

func TestWithoutTenant(t *testing.T) {
	t.Parallel()
	asked := func(context.Context, tenant.Tenant) (bandwidth.Limits, error) {
		assert.Fail(t, "limits of whom?")
		return bandwidth.Limits{}, nil
	}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"none", t.Context(), tenant.ErrNoTenant},
		{"system", tenant.System(t.Context(), "backup"), tenant.ErrSystem},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShaper(t, asked)
			_, err := s.Reader(tt.ctx, endless{})
			assert.ErrorIs(t, err, tt.want)
			_, err = s.Writer(tt.ctx, io.Discard)
			assert.ErrorIs(t, err, tt.want)
			_, err = s.Conn(tt.ctx, pipe(t))
			assert.ErrorIs(t, err, tt.want)
		})
	}
}

func TestNothingToWrap(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(1, 1))
	ctx := as(t.Context(), "a")
	_, err := s.Reader(ctx, nil)
	assert.Error(t, err)
	_, err = s.Writer(ctx, nil)
	assert.Error(t, err)
	_, err = s.Conn(ctx, nil)
	assert.Error(t, err)
}

func TestSystemMayPass(t *testing.T) {
	t.Parallel()
	s := newShaper(t, both(1, 1), bandwidth.WithSystem(), bandwidth.WithRefusal())
	ctx := tenant.System(t.Context(), "backup")
	w := newWriter(t, ctx, s, io.Discard)
	n, err := w.Write(make([]byte, 1<<20))
	assert.NoError(t, err)
	assert.Equal(t, 1<<20, n)
	assert.NoError(t, w.Close())
	r := newReader(t, ctx, s, io.LimitReader(endless{}, 1<<20))
	copied, err := io.Copy(io.Discard, r)
	assert.NoError(t, err)
	assert.EqualValues(t, 1<<20, copied)
	inner := pipe(t)
	c, err := s.Conn(ctx, inner)
	assert.NoError(t, err)
	assert.Equal(t, inner, c)
	_, err = s.Writer(t.Context(), io.Discard)
	assert.ErrorIs(t, err, tenant.ErrNoTenant)
}

func TestLimitsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, r := range []bandwidth.Rate{{BytesPerSecond: -1}, {BytesPerSecond: 1, Burst: -1}, {Burst: 1}} {
		for _, limits := range []bandwidth.Limits{{Ingress: r}, {Egress: r}} {
			_, err := newShaper(t, always(limits)).Writer(as(t.Context(), "a"), io.Discard)
			assert.ErrorIs(t, err, bandwidth.ErrLimits)
		}
	}
}

// What cannot be found out refuses, at first and later, and does not for ever.
func TestUnknownLimitsRefuse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		p := &plans{}
		p.set(1<<20, broken)
		s := newShaper(t, p.of)
		ctx := as(t.Context(), "a")
		_, err := s.Writer(ctx, io.Discard)
		assert.ErrorIs(t, err, bandwidth.ErrLimits)
		assert.ErrorIs(t, err, broken)

		p.set(1<<20, nil)
		w, r := newWriter(t, ctx, s, io.Discard), newReader(t, ctx, s, endless{})
		p.set(1<<20, broken)
		_, err = w.Write([]byte("fresh enough"))
		assert.NoError(t, err)
		time.Sleep(11 * time.Second)
		for range 2 {
			n, err := w.Write([]byte("x"))
			assert.ErrorIs(t, err, broken)
			assert.Zero(t, n)
			n, err = r.Read(make([]byte, 1))
			assert.ErrorIs(t, err, broken)
			assert.Zero(t, n)
		}
		p.set(1<<20, nil)
		_, err = w.Write([]byte("x"))
		assert.NoError(t, err)
	})
}

func TestCancelledContextBeginsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(as(t.Context(), "a"))
	s := newShaper(t, both(1<<20, 0))
	w, r := newWriter(t, ctx, s, io.Discard), newReader(t, ctx, s, endless{})
	cancel()
	_, err := w.Write([]byte("x"))
	assert.ErrorIs(t, err, context.Canceled)
	_, err = w.Write(nil)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = r.Read(make([]byte, 1))
	assert.ErrorIs(t, err, context.Canceled)
	_, err = s.Writer(ctx, io.Discard)
	assert.ErrorIs(t, err, context.Canceled)
}

func TestDirectionString(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "ingress egress", bandwidth.Ingress.String()+" "+bandwidth.Egress.String())
}
