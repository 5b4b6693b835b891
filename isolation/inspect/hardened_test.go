package inspect_test

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/inspect"
	"github.com/tenancy-go/tenancy/isolation/isolationtest"
	"github.com/tenancy-go/tenancy/isolation/row"
)

// openToAll is what PostgreSQL leaves to everyone, given back.
var openToAll = []hole{
	{name: "set_config", plant: `GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO PUBLIC`, want: []string{"set-config"}},
	{name: "a language", plant: `GRANT USAGE ON LANGUAGE plpgsql TO $app`, want: []string{"language-usage"}},
	{name: "large objects", plant: `GRANT EXECUTE ON FUNCTION lo_create(oid) TO $app`, want: []string{"large-object-functions"}},
	{name: "queries as text", plant: `GRANT EXECUTE ON FUNCTION query_to_xml(text, boolean, boolean, text) TO $app`, want: []string{"query-functions"}},
	{name: "notifications", plant: `GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO PUBLIC`, want: []string{"session-functions"}},
	{name: "a tenant that is a setting", plant: `DROP POLICY tenancy_allow ON notes; CREATE POLICY mine ON notes USING (tenant_id = (SELECT current_setting('app.tenant')))`,
		want: []string{"context-forgeable"}, left: []string{"context-forgeable"}},
	{name: "the keys", plant: `GRANT SELECT ON tenancy.keys TO $app`, want: []string{"private-reachable"}},
	{name: "a register", plant: `GRANT UPDATE ON SEQUENCE tenancy.tenant TO $app`, want: []string{"private-reachable"}},
	{name: "the functions' owner", plant: `GRANT tenancy_owner TO $app`,
		want: []string{"language-usage", "large-object-functions", "private-reachable", "query-functions", "role-member", "role-owns-around", "schema-create", "session-functions", "set-config"}},
}

// TestHardenedFindsEachHole begins where even injected SQL finds nothing.
func TestHardenedFindsEachHole(t *testing.T) {
	t.Parallel()
	f := open(t, pgtest.Open(t))
	key, err := row.NewKey("1", []byte(rand.Text()+rand.Text()))
	require.NoError(t, err)
	s := f.rows(t, row.Sealed(key), row.Harden(), row.Migrations(isolationtest.SharedTables()))
	require.NoError(t, s.Prepare(t.Context()))
	f.target = inspect.Rows(f.role)
	var holes []hole
	for _, h := range openToAll {
		h.opts = []inspect.Option{inspect.Injection()}
		holes = append(holes, h)
	}
	sites := make(chan *fixture, 1)
	sites <- f
	findEach(t, sites, holes)
}
