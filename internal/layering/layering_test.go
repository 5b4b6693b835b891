package layering_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/layering"
)

const root = "../.."

func TestThisModule(t *testing.T) {
	t.Parallel()
	graph, err := layering.Load(t.Context(), root)
	require.NoError(t, err)
	assert.Empty(t, graph.Check())
}

func TestThisModulesTopLevel(t *testing.T) {
	t.Parallel()
	names, err := layering.TopLevel(t.Context(), root)
	require.NoError(t, err)
	assert.Empty(t, layering.CheckTopLevel(names))
}

// module makes a module on disk. The packages it lacks are found by go list -e
// all the same, as packages outside the standard library.
func module(t *testing.T, files map[string]string) *layering.Graph {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.com/m\n\ngo 1.26.0\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	graph, err := layering.Load(t.Context(), dir)
	require.NoError(t, err)
	return graph
}

// file is the text of a file that imports paths.
func file(imports ...string) string {
	text := "package p\n"
	for _, path := range imports {
		text += "import _ \"" + path + "\"\n"
	}
	return text
}

func TestCheckAllowsTheDesign(t *testing.T) {
	t.Parallel()
	graph := module(t, map[string]string{
		"doc.go":                            file(),
		"tenant/t.go":                       file("context", "example.com/m/internal/problem", "golang.org/x/net/idna", "github.com/hashicorp/golang-lru/v2"),
		"tenant/t_test.go":                  file("testing", "example.com/m/tenant/tenanttest", "github.com/stretchr/testify/assert"),
		"tenant/tenanttest/t.go":            file("testing", "example.com/m/tenant"),
		"tenant/sqlstore/s.go":              file("example.com/m/tenant", "github.com/lib/pq", "example.com/m/internal/sqlkit"),
		"tenant/admin/a.go":                 file("example.com/m/tenant"),
		"isolation/i.go":                    file("example.com/m/tenant", "example.com/m/isolation/internal/queue", "golang.org/x/sync/errgroup"),
		"isolation/internal/queue/q.go":     file(),
		"isolation/row/r.go":                file("example.com/m/isolation", "example.com/m/isolation/postgres", "example.com/m/tenant"),
		"isolation/postgres/p.go":           file("example.com/m/isolation", "github.com/lib/pq"),
		"isolation/isolationadmin/admin.go": file("example.com/m/isolation", "example.com/m/tenant/admin"),
		"billing/b.go":                      file("example.com/m/tenant", "github.com/shopspring/decimal", "unsafe"),
		"internal/problem/p.go":             file("net/http"),
		"internal/sqlkit/k.go":              file("github.com/pressly/goose/v3"),
		"internal/pgtest/p.go":              file("testing", "net/http/httptest"),
		"examples/saas/main.go":             file("example.com/m/isolation/row", "example.com/m/billing", "example.com/m/examples/saas/selftest"),
		"examples/saas/selftest/s.go":       file("net/http"),
	})
	assert.Empty(t, graph.Check())
}

func TestCheckCatches(t *testing.T) {
	t.Parallel()
	const m = "example.com/m/"
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"a heavy module in a core", map[string]string{"quota/q.go": file("github.com/lib/pq")},
			m + "quota links github.com/lib/pq"},
		{"a heavy module behind an internal package",
			map[string]string{"quota/q.go": file(m + "internal/k"), "internal/k/k.go": file("github.com/jmoiron/sqlx")},
			m + "quota links github.com/jmoiron/sqlx, through " + m + "internal/k"},
		{"more of x/net than idna", map[string]string{"tenant/t.go": file("golang.org/x/net/http2")},
			m + "tenant links golang.org/x/net/http2"},
		{"idna in another core", map[string]string{"authn/a.go": file("golang.org/x/net/idna")},
			"authn imports golang.org/x/net/idna: of the cores only tenant may"},
		{"tenant importing a core", map[string]string{"tenant/t.go": file(m + "quota"), "quota/q.go": file()},
			"tenant imports " + m + "quota: of another field only tenant may be imported"},
		{"a core importing a core", map[string]string{"billing/b.go": file(m + "quota"), "quota/q.go": file()},
			"billing imports " + m + "quota: of another field only tenant may be imported"},
		{"a subpackage importing another core", map[string]string{"tenant/onboarding/o.go": file(m + "isolation"), "isolation/i.go": file()},
			"tenant/onboarding imports " + m + "isolation: of another field only tenant may be imported"},
		{"a subpackage importing below tenant", map[string]string{"quota/sqlquota/q.go": file(m + "tenant/sqlstore"), "tenant/sqlstore/s.go": file()},
			"quota/sqlquota imports " + m + "tenant/sqlstore: of another field only tenant may be imported"},
		{"the console outside a panel", map[string]string{"billing/document/d.go": file(m + "tenant/admin"), "tenant/admin/a.go": file()},
			"billing/document imports " + m + "tenant/admin: of another field only tenant may be imported"},
		{"a core importing what lies below it", map[string]string{"isolation/i.go": file(m + "isolation/row"), "isolation/row/r.go": file()},
			"isolation imports " + m + "isolation/row: a core does not import what lies below it"},
		{"an internal package importing a core", map[string]string{"internal/k/k.go": file(m + "tenant"), "tenant/t.go": file()},
			"internal/k imports " + m + "tenant: internal packages import internal ones alone"},
		{"an example imported", map[string]string{"tenant/sqlstore/s.go": file(m + "examples/lib"), "examples/lib/l.go": file()},
			"tenant/sqlstore imports " + m + "examples/lib: examples and docs are imported by nobody"},
		{"the root importing", map[string]string{"doc.go": file(m + "tenant"), "tenant/t.go": file()},
			". imports " + m + "tenant: the root package holds documentation alone"},
		{"testing in shipped code", map[string]string{"tenant/t.go": file("testing")},
			"tenant imports testing: only tests and test helpers may"},
		{"testify in shipped code", map[string]string{"isolation/row/r.go": file("github.com/stretchr/testify/require")},
			"isolation/row imports github.com/stretchr/testify/require: only tests and test helpers may"},
		{"a test helper in shipped code", map[string]string{"isolation/row/r.go": file(m + "internal/pgtest"), "internal/pgtest/p.go": file()},
			"isolation/row imports " + m + "internal/pgtest: only tests and test helpers may"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, []string{tt.want}, module(t, tt.files).Check())
		})
	}
}

func TestCheckTopLevel(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"pkg does not belong at the top level"},
		layering.CheckTopLevel([]string{"tenant", "go.mod", ".ci", "pkg", "README.md"}))
}
