package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/lib/pq"
)

// security negotiates TLS with a server as lib/pq does by its sslmode and the
// settings around it (https://www.postgresql.org/docs/current/libpq-ssl.html). It
// takes lib/pq's place there, so that the messages can be seen below lib/pq.
type security struct {
	config   *tls.Config // nil for none
	chain    bool        // verify the certificate's chain, but not the name
	optional bool        // go on without TLS if the server has none
	direct   bool        // without asking the server first
	nameless bool        // the server is not told which host is meant
	hosts    map[string]string
}

// securityOf returns what cfg asks for, or false if only lib/pq can do it: with
// sslmode=allow, which tries twice, and with configurations that were registered.
func securityOf(cfg pq.Config) (security, bool, error) {
	s := security{direct: cfg.SSLNegotiation == pq.SSLNegotiationDirect, hosts: hostsOf(cfg)}
	verify := false
	switch cfg.SSLMode {
	case pq.SSLModeDisable:
		return s, true, nil
	case pq.SSLModePrefer:
		s.optional = true
	case "", pq.SSLModeRequire:
	case pq.SSLModeVerifyCA:
		s.chain = true
	case pq.SSLModeVerifyFull:
		verify = true
	default:
		return s, false, nil
	}
	roots, found, err := rootsOf(cfg)
	if err != nil {
		return s, false, err
	}
	certificates, err := clientCertificates(cfg)
	if err != nil {
		return s, false, err
	}
	s.chain = s.chain || found && !verify // as libpq does, where there is a root certificate
	s.nameless = !cfg.SSLSNI && !verify
	s.config = &tls.Config{
		InsecureSkipVerify:   !verify, //nolint:gosec // sslmode says so; chain verifies by itself
		RootCAs:              roots,
		MinVersion:           tlsVersion(cfg.SSLMinProtocolVersion),
		MaxVersion:           tlsVersion(cfg.SSLMaxProtocolVersion),
		GetClientCertificate: certificates,
	}
	if s.direct {
		s.config.NextProtos = []string{"postgresql"}
	}
	return s, true, nil
}

// hostsOf returns the hosts of cfg by the address that is dialled for them.
func hostsOf(cfg pq.Config) map[string]string {
	all := append([]pq.ConfigMultihost{{Host: cfg.Host, Hostaddr: cfg.Hostaddr, Port: cfg.Port}}, cfg.Multi...)
	hosts := make(map[string]string, len(all))
	for _, h := range all {
		dialled := h.Host
		if h.Hostaddr.IsValid() {
			dialled = h.Hostaddr.String()
		}
		hosts[net.JoinHostPort(dialled, strconv.Itoa(int(h.Port)))] = h.Host
	}
	return hosts
}

// errNoTLS says what lib/pq's own error does.
var errNoTLS = fmt.Errorf("the server does not support TLS (sslmode=disable goes without, on a network that you trust): %w", pq.ErrSSLNotSupported)

// secure returns conn as the settings want it.
func (s security) secure(ctx context.Context, conn net.Conn, network, address string) (net.Conn, error) {
	if s.config == nil || network == "unix" {
		return conn, nil
	}
	if !s.direct {
		switch offered, err := askForTLS(conn); {
		case err != nil:
			return nil, err
		case !offered && s.optional:
			return conn, nil
		case !offered:
			return nil, errNoTLS
		}
	}
	config := s.config.Clone()
	if !s.nameless {
		config.ServerName = s.hosts[address]
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if s.chain {
		if err := verifyChain(secured.ConnectionState().PeerCertificates, config.RootCAs); err != nil {
			return nil, err
		}
	}
	return secured, nil
}

// askForTLS sends an SSLRequest and reads the answer, which is one byte: whatever
// came after it in the clear would not be the server's (CVE-2021-23222).
func askForTLS(conn net.Conn) (bool, error) {
	const request = 80877103
	message := binary.BigEndian.AppendUint32(nil, 8)
	if _, err := conn.Write(binary.BigEndian.AppendUint32(message, request)); err != nil {
		return false, err
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return false, err
	}
	return answer[0] == 'S', nil
}

func verifyChain(certificates []*x509.Certificate, roots *x509.CertPool) error {
	if len(certificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range certificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := certificates[0].Verify(opts)
	return err
}

// rootsOf returns the certificates that servers are verified by, nil for the
// system's, and whether some were given.
func rootsOf(cfg pq.Config) (roots *x509.CertPool, found bool, err error) {
	text := []byte(cfg.SSLRootCert)
	switch {
	case cfg.SSLRootCert == "system":
		return nil, true, nil
	case cfg.SSLInline && cfg.SSLRootCert != "":
	default:
		text, err = readFile(cfg.SSLRootCert, "root.crt")
		if cfg.SSLMode == pq.SSLModeVerifyCA || cfg.SSLMode == pq.SSLModeVerifyFull {
			if err != nil && cfg.SSLRootCert != "" {
				return nil, false, err
			}
		}
		if text == nil {
			return nil, false, nil
		}
	}
	roots = x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, false, errors.New("isolation/postgres: sslrootcert holds no certificate in PEM")
	}
	return roots, true, nil
}

// clientCertificates returns what shows the client's certificate, if there is one.
func clientCertificates(cfg pq.Config) (func(*tls.CertificateRequestInfo) (*tls.Certificate, error), error) {
	certificate, key := []byte(cfg.SSLCert), []byte(cfg.SSLKey)
	if !cfg.SSLInline {
		var err error
		if certificate, err = readFile(cfg.SSLCert, "postgresql.crt"); certificate == nil {
			return nil, ignoreMissing(err)
		}
		if err := checkKey(cfg.SSLKey); err != nil {
			return nil, err
		}
		if key, err = readFile(cfg.SSLKey, "postgresql.key"); err != nil {
			return nil, err
		}
	}
	if len(certificate) == 0 {
		return nil, nil
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("isolation/postgres: sslcert and sslkey: %w", err)
	}
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }, nil
}

// readFile reads the file of that path or, if it is empty, the one of that name in
// the user's folder for PostgreSQL.
func readFile(path, name string) ([]byte, error) {
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fs.ErrNotExist
		}
		path = filepath.Join(home, ".postgresql", name)
	}
	return os.ReadFile(path)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// checkKey refuses a private key that others may read, as lib/pq does.
func checkKey(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&^0o640 != 0 {
		return fmt.Errorf("isolation/postgres: sslkey %s may be read by others: chmod 0600 it", path)
	}
	return nil
}

func tlsVersion(v pq.SSLProtocolVersion) uint16 {
	switch v {
	case pq.SSLProtocolVersionTLS10:
		return tls.VersionTLS10
	case pq.SSLProtocolVersionTLS11:
		return tls.VersionTLS11
	case pq.SSLProtocolVersionTLS13:
		return tls.VersionTLS13
	default:
		return 0
	}
}
