package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tenancy-go/tenancy/internal/servertest"
)

// errMissing reports that this machine has no Redis server.
var errMissing = errors.New("redistest: no redis-server in PATH: install it, on Debian with apt-get install redis-server, or run make servers")

// Option changes how a server runs.
type Option func(*config)

type config struct {
	persistent, cluster, sentinel bool
	replicaOf                     *Server
}

// Persistent makes a server write down what it acknowledges, so that it is there again
// after [Server.Kill] and [Server.Restart]. A crash of the machine may lose it.
func Persistent() Option { return func(c *config) { c.persistent = true } }

// Start starts a server that ends with the test.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var c config
	for _, opt := range opts {
		opt(&c)
	}
	s, err := newServer(t, c)
	demand(t, err)
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			t.Logf("the log of the Redis server at %s:\n%s", s.Addr(), s.log())
		}
	})
	return s
}

// newServer starts a server on the first free port that it can have.
func newServer(t testing.TB, c config) (*Server, error) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errMissing
	}
	user, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := workspace(t, user)
	if err != nil {
		return nil, err
	}
	s := &Server{t: t, config: c, program: program, user: user, dir: dir}
	for range 10 {
		if s.port, s.bus, err = freePorts(); err != nil {
			return nil, err
		}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// workspace returns a folder of the test that its server's user owns.
func workspace(t testing.TB, user *account) (string, error) {
	dir := t.TempDir()
	if user == nil {
		return dir, nil
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // the folder of a test
		return "", fmt.Errorf("redistest: %w", err)
	}
	if err := os.Chown(dir, user.UID, user.GID); err != nil {
		return "", fmt.Errorf("redistest: %w", err)
	}
	return dir, nil
}

// demand ends the test unless err is nil: it skips where Redis is missing and may be,
// else it fails.
func demand(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errMissing) && !servertest.Required():
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}
