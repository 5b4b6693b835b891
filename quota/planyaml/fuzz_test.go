package planyaml_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/planyaml"
	"github.com/tenancy-go/tenancy/tenant"
)

// FuzzParse checks that errors say where, that nothing panics, and that what is
// accepted can be resolved, and is the same for a reader of JSON.
func FuzzParse(f *testing.F) {
	f.Add([]byte(tiersYAML))
	f.Add([]byte(tiersJSON))
	f.Add([]byte("version: 1\nplans: {a: {features: {b: !!float 1, c: 0777, d: yes}}}"))
	f.Add([]byte("a: &x [*x]\n<<: {1: 2026-01-01}\n--- # c\n? |\n : ~"))
	f.Add([]byte("a:\n  # x\n\n  b: 'c'\n# d\n-\n...\n%TAG ! !"))
	f.Fuzz(func(t *testing.T, data []byte) {
		catalog, err := planyaml.Parse(data)
		if err != nil {
			var fault *quota.FieldError
			if !errors.As(err, &fault) || fault.Field == "" || fault.Reason == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		for plan := range catalog.Plans() {
			_, err := catalog.Resolve(tenant.Tenant{ID: "acme", Plan: plan}, nil, time.Unix(0, 0))
			require.NoError(t, err)
		}
		inJSON, err := quota.ParseCatalog(data)
		if err == nil && !strings.Contains(string(data), "\\") { // JSON mends what its escapes break
			require.Equal(t, inJSON.Plans(), catalog.Plans())
		}
	})
}
