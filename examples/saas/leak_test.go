package main

import (
	"bytes"
	"context"
	"database/sql/driver"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/examples/saas/selftest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/database/sqlitefile"
	"github.com/tenancy-go/tenancy/tenant"
)

// leaky gives all tenants the same file.
type leaky struct{ *sqlitefile.Strategy }

var everybody = tenant.Tenant{ID: "everybody"}

func (l leaky) Place(ctx context.Context, _ tenant.Tenant) (isolation.Place, error) {
	return l.Strategy.Place(ctx, everybody)
}

func (l leaky) Confine(ctx context.Context, conn driver.Conn, _ tenant.Tenant) error {
	return l.Strategy.Confine(ctx, conn, everybody)
}

func (l leaky) Provision(ctx context.Context, _ tenant.Tenant) error {
	return l.Strategy.Provision(ctx, everybody)
}

func (l leaky) Migrate(ctx context.Context, _ tenant.Tenant) error {
	return l.Strategy.Migrate(ctx, everybody)
}

func (l leaky) Deprovision(context.Context, tenant.Tenant) error { return nil }

// TestSelftestCatchesALeak runs the self-test on a program whose tenants share
// everything.
func TestSelftestCatchesALeak(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	cfg := Config{Domain: "localhost", Dir: t.TempDir()}
	open := func(ctx context.Context) (*App, error) {
		b, err := openSQLite(ctx, cfg)
		if err != nil {
			return nil, err
		}
		strategy, ok := b.strategy.(*sqlitefile.Strategy)
		require.True(t, ok)
		b.strategy = leaky{strategy}
		return openOn(ctx, cfg, b, log)
	}
	var out bytes.Buffer
	require.Error(t, selftest.Run(t.Context(), program{open: open, log: log}, &out))
	for _, found := range []string{
		"FAIL  it has its name, and no rows of others",
		"FAIL  globex.localhost, plainly: 404",
		"FAIL  globex.localhost: no list, page or figure shows the secret",
		"FAIL  globex.localhost, as an API client: 404",
		"FAIL  localhost/t/globex, with a token: 404",
		"FAIL  every answer is right, and no page shows the other's word",
	} {
		assert.Contains(t, out.String(), found)
	}
}
