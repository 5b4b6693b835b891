package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/tenancy-go/tenancy/internal/problem"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/tenant"
)

const (
	gateTenants = 100_000          // remembered at a time, at about 100 bytes each
	freshYes    = time.Minute      // versions only grow, except in a home made anew
	freshNo     = 2 * time.Second  // a migration may end at any time
	gateTimeout = 5 * time.Second  // of a look into the ledger
	gateWait    = 10 * time.Second // until a client should come again
)

// Gate keeps requests from homes that are below the version that the code needs. It
// reads the ledger as it is, and needs no administrative rights. It is safe for
// concurrent use.
type Gate struct {
	ledger   *Ledger
	strategy isolation.Strategy
	version  int64
	seen     *lru.Cache[tenant.ID, verdict]
	asking   singleflight.Group
	now      func() time.Time
	onError  func(http.ResponseWriter, *http.Request, error)
}

type verdict struct {
	ok    bool
	until time.Time
}

// GateOption changes how a [Gate] works.
type GateOption func(*Gate)

// WithErrorHandler answers refused requests instead of [WriteError].
func WithErrorHandler(handler func(http.ResponseWriter, *http.Request, error)) GateOption {
	return func(g *Gate) { g.onError = handler }
}

// WithClock sets the gate's clock, instead of time.Now.
func WithClock(now func() time.Time) GateOption { return func(g *Gate) { g.now = now } }

// NewGate returns a gate for code that needs homes of at least version. strategy is
// the one that serves the tenants, made with the same connectors as the one that is
// migrated, as its places tell which tenants share a home.
func NewGate(ledger *Ledger, strategy isolation.Strategy, version int64, opts ...GateOption) (*Gate, error) {
	if ledger == nil || strategy == nil {
		return nil, errors.New("fleet: NewGate: want a ledger and a strategy, not nil")
	}
	seen, err := lru.New[tenant.ID, verdict](gateTenants)
	if err != nil {
		return nil, fmt.Errorf("fleet: NewGate: %w", err)
	}
	g := &Gate{ledger: ledger, strategy: strategy, version: version, seen: seen, now: time.Now, onError: WriteError}
	for _, opt := range opts {
		opt(g)
	}
	if g.now == nil || g.onError == nil {
		return nil, errors.New("fleet: NewGate: nil function")
	}
	return g, nil
}

// Check returns nil if t's home has the version that is needed, and else an error
// wrapping [ErrBehind], also if the ledger does not know the home. A ledger that does
// not answer is another error, but not for tenants that were let in before.
//
// It asks the ledger about once a minute for each tenant, and every two seconds for
// one that is behind, however many requests wait for the answer.
func (g *Gate) Check(ctx context.Context, t tenant.Tenant) error {
	v, found := g.seen.Get(t.ID)
	if !found || !g.now().Before(v.until) {
		var err error
		if v, err = g.ask(ctx, t, v); err != nil {
			return err
		}
	}
	if !v.ok {
		return fmt.Errorf("%w: tenant %s, version %d", ErrBehind, t.ID, g.version)
	}
	return nil
}

// ask returns what the ledger says now, and remembers it. What it said before is
// still good if it let the tenant in and the ledger does not answer.
func (g *Gate) ask(ctx context.Context, t tenant.Tenant, before verdict) (verdict, error) {
	answer := g.asking.DoChan(string(t.ID), func() (any, error) {
		// Others wait for the answer, too: it does not end with one request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), gateTimeout)
		defer cancel()
		version, err := g.ledger.versionOf(ctx, t, g.strategy)
		if err != nil && !before.ok {
			return verdict{}, err
		}
		v := verdict{ok: err != nil || version >= g.version, until: g.now().Add(freshYes)}
		if !v.ok || err != nil {
			v.until = g.now().Add(freshNo)
		}
		g.seen.Add(t.ID, v)
		return v, nil
	})
	select {
	case <-ctx.Done():
		return verdict{}, failed(ctx, "check the version of a home", ctx.Err())
	case result := <-answer:
		v, _ := result.Val.(verdict) // the zero verdict lets nobody in
		return v, result.Err
	}
}

// versionOf returns the version of t's home, or -1 if it is not known.
func (l *Ledger) versionOf(ctx context.Context, t tenant.Tenant, strategy isolation.Strategy) (int64, error) {
	version, err := l.version(ctx, "tenant_id", string(t.ID))
	if !errors.Is(err, sql.ErrNoRows) {
		return version, err
	}
	place, err := strategy.Place(ctx, t)
	if errors.Is(err, isolation.ErrNotProvisioned) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	if version, err = l.version(ctx, "place", place.Key); errors.Is(err, sql.ErrNoRows) {
		return -1, nil
	}
	return version, err
}

func (l *Ledger) version(ctx context.Context, column, value string) (version int64, err error) {
	if value == "" {
		return -1, sql.ErrNoRows
	}
	err = l.db.QueryRowContext(ctx, l.db.Rebind("SELECT version FROM tenancy_fleet_homes WHERE "+column+
		" = ? ORDER BY started_at DESC LIMIT 1"), value).Scan(&version)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		err = failed(ctx, "read the ledger", err)
	}
	return version, err
}

// Middleware returns a handler that calls next for requests whose tenant passes
// [Gate.Check]. It belongs behind the Middleware of a tenant.Gate, which puts the
// tenant into the context; a request without one is refused.
func (g *Gate) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, err := tenant.FromContext(r.Context())
		if err == nil {
			err = g.Check(r.Context(), t)
		}
		if err != nil {
			g.onError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// WriteError answers r with err as problem details (RFC 9457), and is what a [Gate]
// does unless told otherwise: 503 tenant-migrating with Retry-After for [ErrBehind],
// and what tenant.WriteError does for any other.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, ErrBehind) {
		tenant.WriteError(w, r, err)
		return
	}
	problem.Write(w, r, problem.Problem{
		Type:       problem.Type("tenant-migrating"),
		Title:      "The tenant is being brought up to date",
		Status:     http.StatusServiceUnavailable,
		RetryAfter: gateWait,
	})
}
