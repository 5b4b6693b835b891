package clientaddr_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/clientaddr"
)

func TestOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		remote string
		lines  []string
		want   string
	}{
		{"no proxy", "203.0.113.9:4711", []string{"198.51.100.1"}, "203.0.113.9"},
		{"one proxy", "10.0.0.1:80", []string{"198.51.100.1"}, "198.51.100.1"},
		{"a chain", "10.0.0.1:80", []string{"198.51.100.1, 10.0.0.3"}, "198.51.100.1"},
		{"made up in front", "10.0.0.1:80", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"several lines", "10.0.0.1:80", []string{"1.1.1.1", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"all proxies", "10.0.0.1:80", []string{"10.0.0.5"}, "10.0.0.5"},
		{"not an address", "10.0.0.1:80", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"empty", "10.0.0.1:80", []string{""}, "10.0.0.1"},
		{"proxy in IPv6 clothes", "[::ffff:10.0.0.1]:80", []string{"2001:db8::7"}, "2001:db8::7"},
		{"with ports", "10.0.0.1:80", []string{"[2001:db8::7]:99"}, "2001:db8::7"},
		{"with a zone", "[fe80::1%eth0]:80", nil, "fe80::1"},
	}
	proxies, err := clientaddr.New(netip.MustParsePrefix("10.0.0.0/8"))
	require.NoError(t, err)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr, r.Header["X-Forwarded-For"] = tt.remote, tt.lines
			got, err := proxies.Of(r)
			require.NoError(t, err)
			assert.Equal(t, netip.MustParseAddr(tt.want), got)
		})
	}
}

func TestOfWithoutAddress(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.RemoteAddr = "@"
	_, err := clientaddr.Proxies(nil).Of(r)
	assert.ErrorIs(t, err, clientaddr.ErrUnknown)
}

func TestNewRefusesWhatIsNoPrefix(t *testing.T) {
	t.Parallel()
	_, err := clientaddr.New(netip.Prefix{})
	assert.Error(t, err)
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"198.51.100.7":         "198.51.100.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
	} {
		assert.Equal(t, want, clientaddr.Network(netip.MustParseAddr(addr)).String())
	}
}
