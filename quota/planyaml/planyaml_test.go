package planyaml_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/quota"
	"github.com/tenancy-go/tenancy/quota/planyaml"
	"github.com/tenancy-go/tenancy/tenant"
)

const tiersYAML = `
# The plans of a platform.
version: 3
default: free
defaults:
  limits:
    requests: {windows: {minute: 60, hour: 1e3, day: 10000}, warn: 0.8}
    streams:
      kind: concurrent
      max: 2
    storage: {kind: stock, max: 1GiB}
  features:
    sso: false
    max_upload: 10
    ratio: 5.0
    theme: "on"
    motto: >
      plain
      and simple
  resources:
    models:
      allow:
      - small-*
      - "large-2"
plans:
  free: {title: Free}
  pro:
    title: 'Pro: for teams'
    rank: 1
    weight: 4
    limits:
      requests: {windows: {minute: 300, day: {limit: 100000, roll: calendar}}}
      storage: null
      archive: {kind: stock, max: unlimited, payment: TRUE}
    features:
      sso: true
      beta: {value: true, percent: 2.5e1}
      "no": !!str 1
    database: {statement_timeout: 5s, work_mem: 64MiB}
`

const tiersJSON = `{
	"version": 3,
	"default": "free",
	"defaults": {
		"limits": {
			"requests": {"windows": {"minute": 60, "hour": 1e3, "day": 10000}, "warn": 0.8},
			"streams": {"kind": "concurrent", "max": 2},
			"storage": {"kind": "stock", "max": "1GiB"}
		},
		"features": {"sso": false, "max_upload": 10, "ratio": 5.0, "theme": "on", "motto": "plain and simple\n"},
		"resources": {"models": {"allow": ["small-*", "large-2"]}}
	},
	"plans": {
		"free": {"title": "Free"},
		"pro": {
			"title": "Pro: for teams", "rank": 1, "weight": 4,
			"limits": {
				"requests": {"windows": {"minute": 300, "day": {"limit": 100000, "roll": "calendar"}}},
				"storage": null,
				"archive": {"kind": "stock", "max": "unlimited", "payment": true}
			},
			"features": {"sso": true, "beta": {"value": true, "percent": 2.5e1}, "no": "1"},
			"database": {"statement_timeout": "5s", "work_mem": "64MiB"}
		}
	}
}`

// TestSameAsJSON reads one catalog in YAML and in JSON, and JSON as the YAML that it
// is.
func TestSameAsJSON(t *testing.T) {
	t.Parallel()
	want, err := quota.ParseCatalog([]byte(tiersJSON))
	require.NoError(t, err)
	for _, document := range []string{tiersYAML, tiersJSON, "\ufeff---\n" + tiersYAML + "...\n"} {
		catalog, err := planyaml.Parse([]byte(document))
		require.NoError(t, err)
		assert.Equal(t, want.Version(), catalog.Version())
		assert.Equal(t, want.Plans(), catalog.Plans())
		for _, plan := range []string{"", "pro"} {
			assert.Equal(t, resolve(t, want, plan), resolve(t, catalog, plan))
		}
	}
}

func resolve(t *testing.T, catalog *quota.Catalog, plan string) *quota.Resolved {
	t.Helper()
	patch, err := planyaml.Document([]byte("features: {sso: true}\nlimits: {requests: {windows: {hour: null}}}"))
	require.NoError(t, err)
	override := quota.Override{Tenant: "acme", ID: "a", Reason: "r", Patch: patch}
	require.NoError(t, override.Validate())
	resolved, err := catalog.Resolve(tenant.Tenant{ID: "acme", Plan: plan}, []quota.Override{override}, time.Unix(0, 0))
	require.NoError(t, err)
	return resolved
}

func TestDocument(t *testing.T) {
	t.Parallel()
	document, err := planyaml.Document([]byte("a: {b: [1, -0.5, null, ~, text, 5m, [], {}]}\n? c\n: |\n  x\n"))
	require.NoError(t, err)
	assert.Equal(t, quota.Document{
		"a": map[string]any{"b": []any{int64(1), -0.5, nil, nil, "text", "5m", []any{}, map[string]any{}}},
		"c": "x\n",
	}, document)
	document, err = planyaml.Document([]byte("{}"))
	require.NoError(t, err)
	assert.Equal(t, quota.Document{}, document)
}

// TestPlainTexts states how each text is read that has no quotes.
func TestPlainTexts(t *testing.T) {
	t.Parallel()
	read := map[string]any{
		"0": int64(0), "-0": int64(0), "1000": int64(1000), "9007199254740992": int64(1 << 53), "-9007199254740992": int64(-1 << 53),
		"0.5": 0.5, "5.0": 5.0, "-1.5": -1.5, "1e3": 1000.0, "1E+3": 1000.0, "2.5e-1": 0.25, "9007199254740993.0": float64(1 << 53),
		"true": true, "True": true, "TRUE": true, "false": false, "False": false, "FALSE": false, "tRue": "tRue",
		"null": nil, "Null": nil, "NULL": nil, "~": nil,
		"5m": "5m", "1h30m": "1h30m", "10GiB": "10GiB", "1.2.3": "1.2.3", "10.0.0.1": "10.0.0.1", "2001:db8::1": "2001:db8::1",
		"gpt-4-2024-08-06": "gpt-4-2024-08-06", "2024-08-06-preview": "2024-08-06-preview", "2024-08": "2024-08",
		"yes please": "yes please", "none": "none", "nan": "nan", "inf": "inf", "0bad": "0bad", "e5": "e5", "-": "-", "a: b": "a: b",
		"small-*": "small-*", "!important": "!important",
	}
	quoted := map[string]bool{"-": true, "a: b": true, "!important": true}
	for text, want := range read {
		plain := text
		if quoted[text] {
			plain = "'" + text + "'"
		}
		document, err := planyaml.Document([]byte("a: " + plain))
		if assert.NoError(t, err, text) {
			assert.Equal(t, quota.Document{"a": want}, document, text)
		}
	}
	for _, text := range []string{
		"yes", "Yes", "YES", "no", "No", "on", "ON", "off", "Off", "y", "Y", "n", "N",
		"1_000", "0777", "-0777", "00", "0x1F", "0o17", "0O17", "0b11", "+1", ".5", "5.", "+.5", "1_0.5", "01e3", "-_1",
		"1:30", "190:20:30", "1:30.5", ".inf", "-.Inf", "+.INF", ".nan", ".NaN",
		"2026-01-01", "2026-1-1", "2026-01-01T00:00:00Z", "2026-01-01 12:00:00", "2001-12-14t21:59:43.10-05:00",
		"9007199254740993", "-9007199254740993", "18446744073709551616", "1e400", "-1e999", "=", "<<",
	} {
		_, err := planyaml.Document([]byte("a:\n  b: [" + text + "]"))
		assertRefused(t, err, "a.b[0]", 2, text)
		for _, quoted := range []string{`"` + text + `"`, "'" + text + "'", "!!str " + text} {
			document, err := planyaml.Document([]byte("a: " + quoted))
			if assert.NoError(t, err, quoted) {
				assert.Equal(t, quota.Document{"a": text}, document)
			}
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		"!!str true": "true", `!!int "5"`: int64(5), "!!float 5": 5.0, "!!float 5.5": 5.5, "!!bool 'true'": true, "!!null ''": nil, "!!null": nil,
		"!!map {}": map[string]any{}, "!!seq []": []any{}, "!<tag:yaml.org,2002:str> 1": "1", "!!str": "",
	} {
		document, err := planyaml.Document([]byte("a: " + text))
		if assert.NoError(t, err, text) {
			assert.Equal(t, quota.Document{"a": want}, document, text)
		}
	}
	for _, text := range []string{
		"!!int 5.5", "!!int x", "!!int ''", "!!bool 1", "!!null 0", "!!float x", "!!int .nan", "!!float .inf", "!!map []", "!!seq {}", "!!str {}",
		"!!binary aGk=", "!!timestamp 2026-01-01", "!!timestamp x", "!!set {x: null}", "!!omap []", "!!merge x", "!mine x", "!mine {}", "!mine []", "!<x> y",
	} {
		_, err := planyaml.Document([]byte("b: 1\na: " + text))
		assertRefused(t, err, "a", 2, text)
	}
}

// TestErrorsNameTheField checks that an operator is told where to look.
func TestErrorsNameTheField(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		document, field string
		line            int
	}{
		"empty":              {"", "(document)", 1},
		"a comment":          {"# nothing", "(document)", 1},
		"null":               {"null", "(document)", 1},
		"a list":             {"\n- a", "(document)", 2},
		"a text":             {"text", "(document)", 1},
		"no YAML":            {"version: 1\nplans: {", "(document)", 2},
		"no YAML at once":    {"a: b: c", "(document)", 1},
		"a tab":              {"a:\n\tb: 1", "(document)", 2},
		"two documents":      {"a: 1\n---\nb: 1", "(document)", 2},
		"an empty second":    {"a: 1\n---\n", "(document)", 2},
		"text after it":      {"a: 1\n...\nb", "(document)", 2},
		"no UTF-8":           {"a: 1\nb: \xff", "(document)", 2},
		"UTF-16":             {"\xff\xfea\x00", "(document)", 1},
		"a control char":     {"a: 1\nb: \x00", "(document)", 2},
		"twice":              {"plans:\n  pro:\n    rank: 1\n    \"rank\": 2", "plans.pro.rank", 4},
		"twice, elsewhere":   {"a: [{b: 1,\n b: 1}]", "a[0].b", 2},
		"a number as a name": {"plans:\n  1: {}", "plans.1", 2},
		"a bool as a name":   {"plans:\n  true: {}", "plans.true", 2},
		"null as a name":     {"plans:\n  ~: {}", "plans.~", 2},
		"no name":            {"plans:\n  ?\n  : {}", `plans.""`, 2},
		"yes as a name":      {"plans:\n  yes: {}", "plans.yes", 2},
		"a date as a name":   {"plans:\n  2026-01-01: {}", "plans.2026-01-01", 2},
		"a list as a name":   {"plans:\n  ? [a]\n  : {}", `plans.""`, 2},
		"an alias":           {"a: &x {}\nb: *x", "a", 1},
		"an anchor":          {"a: 1\nb:\n  - &x 1", "b[0]", 3},
		"an anchored name":   {"a: 1\n&x b: 1", "b", 2},
		"a merge":            {"a:\n  <<: {b: 1}", "a.<<", 2},
		"a merge of several": {"a:\n  <<: [{b: 1}]", "a.<<", 2},
		"no value":           {"plans:\n  free:\n  pro: {}", "plans.free", 2},
		"only comments":      {"plans:\n  free:\n    # rank: 1\n", "plans.free", 2},
		"no element":         {"a:\n  - 1\n  -\n", "a[1]", 3},
		"a name of nothing":  {"\"\": yes", `""`, 1},

		// What quota refuses has the line, too.
		"no version":          {"plans:\n  pro: {}", "version", 1},
		"unknown field":       {"version: 1\nplan: {}\nplans: {pro: {}}", "plan", 2},
		"default":             {"version: 1\nplans: {pro: {}}\ndefault: x", "default", 3},
		"in a limit":          {"version: 1\nplans:\n  pro:\n    limits:\n      requests:\n        windows:\n          minute: -1", "plans.pro.limits.requests.windows.minute", 7},
		"missing":             {"version: 1\nplans:\n  pro:\n    limits:\n      seats:\n        kind: stock", "plans.pro.limits.seats.max", 5},
		"in a list":           {"version: 1\nplans:\n  pro:\n    resources:\n      models:\n        allow:\n        - a\n        - 1", "plans.pro.resources.models.allow[1]", 8},
		"in the defaults":     {"version: 1\nplans:\n  pro: {}\ndefaults:\n  weight: x", "plans.pro.weight", 5},
		"below the defaults":  {"version: 1\nplans:\n  pro: {limits: {}}\ndefaults:\n  limits:\n    seats:\n      kind: stock", "plans.pro.limits.seats.max", 6},
		"over the defaults":   {"version: 1\nplans:\n  pro:\n    weight: x\ndefaults:\n  weight: 1", "plans.pro.weight", 4},
		"plan that is a list": {"version: 1\nplans:\n  pro: []", "plans.pro", 3},
		"a dot in a name":     {"version: 1\nplans:\n  pro:\n    limits:\n      a.b: {windows: {}}", "plans.pro.limits.a.b", 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			catalog, err := planyaml.Parse([]byte(tt.document))
			assert.Nil(t, catalog)
			assertRefused(t, err, tt.field, tt.line, tt.document)
		})
	}
}

func assertRefused(t *testing.T, err error, field string, line int, text string) {
	t.Helper()
	assert.ErrorIs(t, err, quota.ErrInvalid, text)
	var fault *quota.FieldError
	if assert.ErrorAs(t, err, &fault, text) {
		assert.Equal(t, field, fault.Field, "%s: %s", text, fault.Reason)
		assert.Regexp(t, fmt.Sprintf("^(about )?line %d: .+", line), fault.Reason, text)
	}
}

// TestBounds checks the limits that documents in JSON have, and bombs.
func TestBounds(t *testing.T) {
	t.Parallel()
	fits := "a: 1 #" + strings.Repeat("x", 1<<20-6)
	_, err := planyaml.Document([]byte(fits))
	assert.NoError(t, err)
	_, err = planyaml.Document([]byte(fits + "x"))
	assert.ErrorIs(t, err, quota.ErrInvalid)

	nested := func(levels int) []byte {
		return []byte(strings.Repeat(`{"a":`, levels-1) + "[]" + strings.Repeat("}", levels-1))
	}
	_, err = planyaml.Document(nested(16))
	assert.NoError(t, err)
	_, err = quota.ParseDocument(nested(16))
	assert.NoError(t, err)
	_, err = planyaml.Document(nested(17))
	assertRefused(t, err, strings.TrimSuffix(strings.Repeat("a.", 16), "."), 1, "17 levels")
	_, err = quota.ParseDocument(nested(17))
	assert.ErrorIs(t, err, quota.ErrInvalid)

	bomb := "a: &a [x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%[1]c [*%[2]c, *%[2]c]\n", c, c-1)
	}
	for _, text := range []string{
		bomb, "a: &a [*a]", "a: *b", strings.Repeat("[", 1<<20), strings.Repeat("- ", 1<<19), strings.Repeat("{a: ", 1<<18), strings.Repeat("? ", 1<<19),
	} {
		_, err = planyaml.Document([]byte(text))
		var fault *quota.FieldError
		assert.ErrorAs(t, err, &fault)
	}
}
