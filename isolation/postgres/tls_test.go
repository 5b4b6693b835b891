package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// authority makes certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = a.issue(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue makes a certificate and its key; an authority without one signs itself.
func (a *authority) issue(t *testing.T, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.Subject = pkix.Name{CommonName: "postgres"}
	signer, parent := a.key, a.cert
	if signer == nil {
		signer, parent = key, template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

func (a *authority) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.crt")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600))
	return path
}

// secureServer starts a server that offers TLS as localhost.
func secureServer(t *testing.T, a *authority) *pgtest.DB {
	t.Helper()
	db := pgtest.Private(t).Open(t)
	cert, key := a.issue(t, &x509.Certificate{DNSNames: []string{"localhost"}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	admin := connect(t, newConnector(t, db.URL()))
	for file, block := range map[string]*pem.Block{
		"server.crt": {Type: "CERTIFICATE", Bytes: cert.Raw},
		"server.key": {Type: "PRIVATE KEY", Bytes: der},
	} {
		text := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(block))
		require.NoError(t, run(t, admin, `COPY (SELECT '`+text+`') TO PROGRAM 'umask 077; base64 -d > `+file+`'`))
	}
	require.NoError(t, run(t, admin, `ALTER SYSTEM SET ssl = on`))
	require.NoError(t, run(t, admin, `SELECT pg_reload_conf()`))
	require.Eventually(t, func() bool {
		return first(t, connect(t, newConnector(t, db.URL())), `SHOW ssl`) == "on"
	}, 10*time.Second, 20*time.Millisecond)
	return db
}

// at returns db's URL for a host, with settings.
func at(t *testing.T, db *pgtest.DB, host string, settings ...string) string {
	t.Helper()
	u, err := url.Parse(db.URL())
	require.NoError(t, err)
	u.Host = host + ":" + u.Port()
	query := url.Values{}
	for i := 0; i < len(settings); i += 2 {
		query.Set(settings[i], settings[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String()
}

const encrypted = `SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t), newAuthority(t)
	db := secureServer(t, ours)
	root, wrong := ours.file(t), others.file(t)
	tests := []struct {
		name, host string
		settings   []string
		refusal    string // empty means that it connects
		plain      bool   // without TLS
		own        bool   // lib/pq negotiates by itself
	}{
		{name: "verify-full", host: "localhost", settings: []string{"sslmode", "verify-full", "sslrootcert", root}},
		{name: "verify-full, another host", host: "127.0.0.1", settings: []string{"sslmode", "verify-full", "sslrootcert", root}, refusal: "127.0.0.1"},
		{name: "verify-full, another authority", host: "localhost", settings: []string{"sslmode", "verify-full", "sslrootcert", wrong}, refusal: "unknown authority"},
		{name: "verify-full, no such file", host: "localhost", settings: []string{"sslmode", "verify-full", "sslrootcert", root + "x"}, refusal: "no such file"},
		{name: "verify-ca", host: "127.0.0.1", settings: []string{"sslmode", "verify-ca", "sslrootcert", root}},
		{name: "verify-ca, another authority", host: "localhost", settings: []string{"sslmode", "verify-ca", "sslrootcert", wrong}, refusal: "unknown authority"},
		{name: "require", host: "127.0.0.1", settings: []string{"sslmode", "require"}},
		{name: "require, with a root certificate", host: "127.0.0.1", settings: []string{"sslmode", "require", "sslrootcert", wrong}, refusal: "unknown authority"},
		{name: "prefer", host: "127.0.0.1", settings: []string{"sslmode", "prefer"}},
		{name: "by default", host: "127.0.0.1"},
		{name: "disable", host: "127.0.0.1", settings: []string{"sslmode", "disable"}, plain: true},
		{name: "allow", host: "127.0.0.1", settings: []string{"sslmode", "allow"}, plain: true, own: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := postgres.NewConnector(at(t, db, tt.host, tt.settings...))
			if err == nil && tt.refusal != "" {
				_, err = c.Connect(t.Context())
			}
			if tt.refusal != "" {
				require.ErrorContains(t, err, tt.refusal)
				return
			}
			require.NoError(t, err)
			conn := connect(t, c)
			assert.Equal(t, tt.plain, first(t, conn, encrypted) != "true")
			assert.Equal(t, !tt.own, conn.Rides())
			if tt.own {
				require.ErrorContains(t, conn.Enter(as("acme", false)), "sslmode")
				return
			}
			require.NoError(t, conn.Enter(as("acme", false)))
			assert.Equal(t, "acme", first(t, conn, whoami))
		})
	}
	_, err := postgres.NewConnector(at(t, db, "localhost", "sslmode", "allow"), postgres.BehindPooler())
	require.ErrorContains(t, err, "BehindPooler")
}

func TestServersWithoutTLS(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	_, err := newConnector(t, at(t, db, "127.0.0.1", "sslmode", "require")).Connect(t.Context())
	require.ErrorContains(t, err, "does not support TLS")
	conn := connect(t, newConnector(t, at(t, db, "127.0.0.1", "sslmode", "prefer")))
	assert.Equal(t, "false", first(t, conn, encrypted))
}
