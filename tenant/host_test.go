package tenant_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

func TestNormalizeHost(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"acme.example.com":               "acme.example.com",
		"ACME.Example.COM":               "acme.example.com",
		"acme.example.com.":              "acme.example.com",
		"acme.example.com:8080":          "acme.example.com",
		"acme.example.com.:443":          "acme.example.com",
		"localhost:3000":                 "localhost",
		"München.de":                     "xn--mnchen-3ya.de",
		"xn--mnchen-3ya.de":              "xn--mnchen-3ya.de",
		"XN--MNCHEN-3YA.de":              "xn--mnchen-3ya.de",
		"ａｃｍｅ.example.com":               "acme.example.com", // fullwidth letters
		"acme。example.com":               "acme.example.com", // ideographic full stop
		"ac\u00adme.example.com":         "acme.example.com", // soft hyphen
		"a-b--c.example.com":             "a-b--c.example.com",
		"1.2.3.example":                  "1.2.3.example",
		"0xdead.example.com":             "0xdead.example.com",
		strings.Repeat("a", 63) + ".com": strings.Repeat("a", 63) + ".com",
	}
	for host, want := range tests {
		got, err := tenant.NormalizeHost(host)
		if assert.NoError(t, err, host) {
			assert.Equal(t, want, got, host)
		}
	}
}

var hostsRefused = []string{
	"", ".", ":", ":80", "..", "...", " ", "acme..example.com", ".example.com", "acme.example.com..",
	"acme.example.com:", "acme.example.com:http", "acme.example.com:80:80", "acme.example.com:123456", "acme.example.com:-1",
	"acme_x.example.com", "-acme.example.com", "acme-.example.com", "acme .example.com", "acme%2eexample.com", "acme%00.example.com",
	"acme.example.com/", "/acme.example.com", "acme.example.com?x", "acme.example.com#x", "user@acme.example.com", "acme.example.com\\evil",
	"acme.example.com\x00", "acme.example.com\n", "acme.example.com,evil.com", "*.example.com", "http://acme.example.com",
	"127.0.0.1", "127.0.0.1:80", "127.1", "2130706433", "0x7f.0.0.1", "0x7f000001", "1.2.3.0x", "0177.0.0.1", "１２７.0.0.1",
	"::1", "[::1]", "[::1]:80", "[fe80::1%25eth0]:80", "[acme.example.com]", "[acme.example.com]:80",
	"ab--cd.example.com", "xn--.example.com", "xn--acme.example.com", "xn--a.example.com", "xn--ACME-.example.com", "\xff\xfe.example.com",
	strings.Repeat("a", 64) + ".example.com", strings.Repeat("a.", 127) + "com", strings.Repeat("a", 1<<20), strings.Repeat("ä", 1<<19),
}

func TestNormalizeHostRefuses(t *testing.T) {
	t.Parallel()
	for _, host := range hostsRefused {
		got, err := tenant.NormalizeHost(host)
		if assert.ErrorIs(t, err, tenant.ErrInvalid, "%.80q", host) {
			assert.Empty(t, got)
			assert.Less(t, len(err.Error()), 500, "an error must not carry all that came from outside")
		}
	}
}

func FuzzNormalizeHost(f *testing.F) {
	for _, host := range hostsRefused {
		if len(host) < 2000 {
			f.Add(host)
		}
	}
	for _, host := range []string{"acme.example.com", "ACME.example.com.:443", "München.de", "xn--mnchen-3ya.de", "ａ。ｂ"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		name, err := tenant.NormalizeHost(host)
		if err != nil {
			require.ErrorIs(t, err, tenant.ErrInvalid)
			assert.Empty(t, name)
			return
		}
		assert.LessOrEqual(t, len(name), 253)
		assert.Regexp(t, `^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`, name)
		_, err = netip.ParseAddr(name)
		require.Error(t, err, "an address is no host name")

		again, err := tenant.NormalizeHost(strings.ToUpper(name) + ".:443")
		require.NoError(t, err)
		assert.Equal(t, name, again, "one name has one form")
	})
}
