package pgtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
)

// shared is the one server of the test binary.
var shared sharedServer

// sharedServer starts its instance when the first test asks for it.
type sharedServer struct {
	mu       sync.Mutex
	open     bool      // while Run runs; guarded by mu
	instance *instance // nil before the first test; guarded by mu
	err      error     // why there is no instance; guarded by mu
}

// Run runs the tests and then ends the shared server. Call it in TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
func Run(m *testing.M) int {
	shared.mu.Lock()
	shared.open = true
	shared.mu.Unlock()
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

func (s *sharedServer) get() (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return nil, errors.New("pgtest: no shared server: TestMain must call pgtest.Run")
	}
	if s.instance == nil && s.err == nil {
		s.instance, s.err = newInstance()
	}
	return s.instance, s.err
}

func (s *sharedServer) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = false
	if s.instance == nil {
		return nil
	}
	return s.instance.close()
}

// DB is a database of one test.
type DB struct {
	Name   string
	Server *Server
}

// Open makes an empty database on the shared server and drops it, with all its
// connections, when the test ends. When the test has failed, what the server
// logged about the database is shown.
func Open(t testing.TB) *DB {
	t.Helper()
	instance, err := shared.get()
	demand(t, err)
	return (&Server{t: t, instance: instance, shared: true}).Open(t)
}

// URL returns the superuser's URL of the database, without TLS.
func (d *DB) URL() string { return d.Server.URL(d.Name) }

// As returns the database's URL for another role, which the test makes itself.
func (d *DB) As(role, password string) string {
	return d.Server.instance.url(role, password, d.Name)
}

// maxName is the length, in bytes, at which PostgreSQL cuts identifiers.
const maxName = 63

// Name returns prefix, an underscore and random letters and digits, all in lower
// case: an identifier for what all databases of a server share, such as a role.
func Name(t testing.TB, prefix string) string {
	t.Helper()
	name := strings.ToLower(prefix + "_" + rand.Text()[:12])
	if len(name) > maxName {
		t.Fatalf("pgtest: the prefix %q makes a name of more than %d bytes", prefix, maxName)
	}
	return name
}

// demand ends the test unless err is nil: it skips where PostgreSQL is missing and
// may be, else it fails.
func demand(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, errMissing) && !required():
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// Missing ends a test that needs a program which is not installed. As with a
// missing server, it skips the test where that may be, and else fails it.
func Missing(t testing.TB, program string) {
	t.Helper()
	if required() {
		t.Fatalf("pgtest: %s is not installed", program)
	}
	t.Skipf("pgtest: %s is not installed", program)
}

// Open makes an empty database on the server. On the shared server it is dropped
// when the test ends.
func (s *Server) Open(t testing.TB) *DB {
	t.Helper()
	db := &DB{Name: Name(t, "test"), Server: s}
	if err := s.instance.exec(t.Context(), "CREATE DATABASE "+pq.QuoteIdentifier(db.Name)); err != nil {
		t.Fatalf("pgtest: create a database: %v", err)
	}
	t.Cleanup(func() { db.drop(t) })
	return db
}
