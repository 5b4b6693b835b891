package inspect_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/inspect"
)

var someReport = inspect.Report{
	Database: "saas", Server: "15.18", Strategy: "row", Roles: []string{"app"}, Lints: 77, Tables: 1,
	Findings: []inspect.Finding{
		{Lint: "rls-off", Severity: inspect.Critical, Object: "public.orders", Title: "row security is off", Why: strings.Repeat("because ", 30),
			Remedy: "ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY; ALTER TABLE public.orders FORCE ROW LEVEL SECURITY; -- " + strings.Repeat("a comment of many words ", 8)},
		{Lint: "key-without-tenant", Severity: inspect.Medium, Object: "public.orders \x1b[31mred\u202e", Title: "a key", Detail: "UNIQUE (title)", Why: "an oracle", Remedy: "-- decide"},
	},
	Suppressed: []inspect.Suppressed{{Finding: inspect.Finding{Lint: "publication", Severity: inspect.High, Object: "publication cdc", Title: "tenant tables are published"}, Reason: "to the search index, which filters"}},
	Unused:     []inspect.Suppression{{Lint: "rule", Object: "public.old", Reason: "until spring"}},
}

func TestTableFitsATerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, someReport.WriteTable(&b))
	text := b.String()
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 100, line)
		assert.Equal(t, strings.TrimRight(line, " \n"), strings.TrimSuffix(line, "\n"))
	}
	assert.NotContains(t, text, "\x1b")
	assert.NotContains(t, text, "\u202e")
	for _, want := range []string{"critical  rls-off: public.orders\n", "medium    key-without-tenant: public.orders  [31mred", "  mend    ALTER TABLE", "          -- a comment", "  mend    -- decide\n",
		"accepted  publication: publication cdc", "  reason  to the search index", "unused    rule: public.old",
		"saas: 1 critical, 1 medium, 1 suppressed, 1 unused suppression (row isolation, 1 tenant table, 77 lints, PostgreSQL\n15.18)\n"} {
		assert.Contains(t, strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " "))
	}
	var sql []string
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "          "); ok && strings.Contains(rest, "comment") {
			sql = append(sql, rest)
		}
	}
	assert.Greater(t, len(sql), 1)
	for _, line := range sql {
		assert.True(t, strings.HasPrefix(line, "-- "), "%q would be SQL", line)
	}
}

func TestJSONReadsBack(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, someReport.WriteJSON(&b))
	assert.Contains(t, b.String(), `"severity": "critical"`)
	var back inspect.Report
	require.NoError(t, json.Unmarshal(b.Bytes(), &back))
	assert.Equal(t, someReport, back)
}

func TestErrFailsFromASeverityOn(t *testing.T) {
	t.Parallel()
	err := someReport.Err(inspect.Medium)
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	var unsafe *inspect.UnsafeError
	require.ErrorAs(t, err, &unsafe)
	assert.Len(t, unsafe.Findings, 2)
	assert.ErrorContains(t, err, "database saas: 2 findings")
	assert.ErrorContains(t, err, "critical rls-off: public.orders: row security is off; to mend it: ALTER TABLE")

	require.ErrorAs(t, someReport.Err(inspect.High), &unsafe)
	assert.Len(t, unsafe.Findings, 1)
	clean := inspect.Report{Findings: someReport.Findings[1:]}
	assert.NoError(t, clean.Err(inspect.High))
}

func TestSeverity(t *testing.T) {
	t.Parallel()
	for s := inspect.Low; s <= inspect.Critical; s++ {
		parsed, err := inspect.ParseSeverity(strings.ToUpper(s.String()))
		require.NoError(t, err)
		assert.Equal(t, s, parsed)
	}
	for _, text := range []string{"", "worst"} {
		_, err := inspect.ParseSeverity(text)
		assert.Error(t, err)
	}
	_, err := inspect.Severity(0).MarshalText()
	assert.Error(t, err)
	assert.Equal(t, "Severity(9)", inspect.Severity(9).String())
	var s inspect.Severity
	assert.Error(t, s.UnmarshalText([]byte("worst")))
}

func TestLintsAreDocumented(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, l := range inspect.Lints() {
		assert.Regexp(t, `^[a-z]+(-[a-z]+)*$`, l.ID)
		assert.False(t, seen[l.ID], "two lints %s", l.ID)
		seen[l.ID] = true
		assert.NotEmpty(t, l.Title)
		assert.True(t, strings.HasSuffix(l.Why, "."), l.ID)
		_, err := l.Severity.MarshalText()
		assert.NoError(t, err, l.ID)
	}
}

// TestEachLintHasAHole keeps the holes complete.
func TestEachLintHasAHole(t *testing.T) {
	t.Parallel()
	planted := []string{"server-version", "login-takes-home", "database-missing"} // in tests of their own
	for _, h := range slices.Concat(rowHoles(), homeHoles, databaseHoles, openToAll) {
		planted = append(planted, h.want...)
	}
	for _, l := range inspect.Lints() {
		assert.Contains(t, planted, l.ID)
	}
}

func TestHowToListsEachLint(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/howto/audit-a-database.md")
	require.NoError(t, err)
	for _, l := range inspect.Lints() {
		assert.Contains(t, string(page), "\n| `"+l.ID+"` | "+l.Severity.String()+" | ")
		assert.Contains(t, string(page), " | "+l.Title+" |\n", l.ID)
	}
}
