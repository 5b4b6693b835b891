package row_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/row"
	"github.com/tenancy-go/tenancy/tenant"
)

func TestSizeCountsRowsOnce(t *testing.T) {
	t.Parallel()
	f := open(t, tables+`
		CREATE TABLE events (tenant_id text NOT NULL, id int) PARTITION BY HASH (tenant_id);
		CREATE TABLE events_0 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE events_1 PARTITION OF events FOR VALUES WITH (MODULUS 2, REMAINDER 1);
		CREATE TABLE platform (id int, title text);
		INSERT INTO platform VALUES (1, 'not the tenants''');
		INSERT INTO orders VALUES ('acme', 1, 'x'), ('acme', 2, NULL), ('globex', 1, 'longer');
		INSERT INTO app.items VALUES ('acme', 1, 1);
		INSERT INTO events VALUES ('acme', 1), ('globex', 1), ('globex', 2)`)
	size := func(s isolation.Sizer, t tenant.Tenant, test testing.TB) int64 {
		n, err := s.Size(test.Context(), t)
		require.NoError(test, err)
		return n
	}
	const header, acmeID, globexID, number = 28, 5, 7, 4
	s := f.installed(t)
	assert.Equal(t, int64(4*header+4*acmeID+5*number+2), size(s, acme, t))
	assert.Equal(t, int64(3*header+3*globexID+3*number+7), size(s, globex, t))
	assert.Zero(t, size(s, tenant.Tenant{ID: "nobody"}, t))

	f.exec(t, `REVOKE ALL ON app.items, events FROM $app`)
	s = f.installed(t, row.Tables("orders"))
	assert.Equal(t, int64(2*header+2*acmeID+2*number+2), size(s, acme, t), "of the tables that were named")
	f.exec(t, `REVOKE SELECT ON orders FROM $app; GRANT SELECT (tenant_id, id) ON orders TO $app`)
	assert.Equal(t, int64(2*header+2*acmeID+2*number), size(f.strategy(t, row.Tables("orders")), acme, t), "of the columns that may be read")
}

// What is stored apart from its row is not read, and counts as it is stored.
func TestSizeOfWhatIsStoredApart(t *testing.T) {
	t.Parallel()
	f := open(t, tables+`INSERT INTO orders VALUES ('acme', 1, repeat('x', 1000000)),
		('acme', 2, (SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 10000)))`)
	n, err := f.installed(t).Size(t.Context(), acme)
	require.NoError(t, err)
	assert.InDelta(t, 360_000, n, 100_000, "one compresses well, the other hardly")
}

func TestSizeBeforeThereAreTables(t *testing.T) {
	t.Parallel()
	f := open(t, ``)
	n, err := f.installed(t).Size(t.Context(), acme)
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = f.strategy(t).Size(t.Context(), tenant.Tenant{ID: "../acme"})
	require.Error(t, err)
}
