package pgtest

import (
	"context"
	"testing"
	"time"

	"github.com/lib/pq"
)

// dropTimeout bounds how long the end of a test waits for its database to go.
const dropTimeout = 30 * time.Second

// Server is a test's view of a running PostgreSQL server.
type Server struct {
	t        testing.TB
	instance *instance
	shared   bool
}

// Private starts a server for one test, which may stop, kill and start it. The
// server and its data go when the test ends.
func Private(t testing.TB) *Server {
	t.Helper()
	instance, err := newInstance()
	demand(t, err)
	s := &Server{t: t, instance: instance}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", instance.logOf(""))
		}
		if err := instance.close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s
}

// URL returns the superuser's URL of a database, without TLS. The database
// "postgres" is always there.
func (s *Server) URL(database string) string {
	return s.instance.url(superuser, s.instance.password, database)
}

// Addr returns the server's host and port. They stay the same when it restarts.
func (s *Server) Addr() string { return s.instance.address() }

// Kill ends the server and all its backends by SIGKILL, as a crash does, and
// returns when they are gone. It does nothing while the server is stopped.
func (s *Server) Kill() {
	s.t.Helper()
	if s.own() {
		s.instance.end((*process).kill)
	}
}

// Stop shuts the server down, ends its connections, and returns when it is gone.
// It does nothing while the server is stopped.
func (s *Server) Stop() {
	s.t.Helper()
	if s.own() {
		s.instance.end((*process).stop)
	}
}

// Start starts the server again on the same port and data, and returns when it
// accepts connections. It does nothing while the server runs.
func (s *Server) Start() {
	s.t.Helper()
	if !s.own() {
		return
	}
	if err := s.instance.restart(); err != nil {
		s.t.Errorf("pgtest: %v", err)
	}
}

// Terminate ends the backend with this process number, as pg_backend_pid names
// it, and returns when it is gone.
func (s *Server) Terminate(pid int) {
	s.t.Helper()
	if err := s.instance.exec(s.t.Context(), "SELECT pg_terminate_backend($1, 10000)", pid); err != nil {
		s.t.Errorf("pgtest: terminate backend %d: %v", pid, err)
	}
}

// own reports whether the test may stop the server, and fails it otherwise.
func (s *Server) own() bool {
	s.t.Helper()
	if s.shared {
		s.t.Error("pgtest: the shared server serves other tests too: use Private")
	}
	return !s.shared
}

// drop removes the database of a test that has ended. A private server goes whole.
func (d *DB) drop(t testing.TB) {
	t.Helper()
	if !d.Server.shared {
		return
	}
	if t.Failed() {
		t.Logf("the server logged about %s:\n%s", d.Name, d.Server.instance.logOf(d.Name))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), dropTimeout)
	defer cancel()
	if err := d.Server.instance.exec(ctx, "DROP DATABASE IF EXISTS "+pq.QuoteIdentifier(d.Name)+" WITH (FORCE)"); err != nil {
		t.Errorf("pgtest: drop the database: %v", err)
	}
}
