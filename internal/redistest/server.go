package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	startTimeout = 30 * time.Second // for a server to answer, or a cluster to be whole
	pollInterval = 5 * time.Millisecond
)

// Server is a Redis server of one test.
type Server struct {
	t         testing.TB
	config    config
	program   string
	user      *account
	dir       string // holds what it writes, and its log
	port, bus int

	mu      sync.Mutex
	process *process // nil while killed; guarded by mu
}

// Addr returns the server's host and port. They stay the same when it restarts.
func (s *Server) Addr() string { return net.JoinHostPort(host, strconv.Itoa(s.port)) }

// Kill ends the server by SIGKILL, as a crash does, and returns when it is gone.
func (s *Server) Kill() { s.end() }

// Pause makes the server hang, by SIGSTOP: connections stay, and nothing is answered.
func (s *Server) Pause() { s.signal(hang) }

// Resume ends what Pause began.
func (s *Server) Resume() { s.signal(resume) }

// Restart starts the server again on the same port, killing it first if it runs.
func (s *Server) Restart() {
	s.t.Helper()
	s.end()
	err := s.start()
	for range 10 {
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond) // another process may have the port for a while
		err = s.start()
	}
	s.t.Errorf("redistest: %v", err)
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Error("redistest: the server does not run")
		return
	}
	if err := s.process.cmd.Process.Signal(signal); err != nil {
		s.t.Errorf("redistest: %v", err)
	}
}

func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

func (s *Server) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := launch(s)
	if err != nil {
		return err
	}
	if err := s.waitReady(p); err != nil {
		p.kill()
		return fmt.Errorf("%w; its log:\n%s", err, s.log())
	}
	s.process = p
	return nil
}

// waitReady returns once p, and not another server, answers on the port and has loaded
// its data.
func (s *Server) waitReady(p *process) error {
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1, PoolSize: 1})
	defer func() { _ = client.Close() }()
	want := "process_id:" + strconv.Itoa(p.cmd.Process.Pid) + "\r\n"
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(pollInterval) {
		select {
		case <-p.done:
			return errors.New("redistest: the server ended while starting")
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		info, err := client.Info(ctx, "server", "persistence").Result()
		cancel()
		if err == nil && strings.Contains(info, want) && (s.config.sentinel || strings.Contains(info, "\nloading:0")) {
			return nil
		}
	}
	return fmt.Errorf("redistest: the server is not ready after %v", startTimeout)
}

func (s *Server) logPath() string { return filepath.Join(s.dir, "log") }

// log returns the end of the server's log.
func (s *Server) log() string {
	text, _ := os.ReadFile(s.logPath())
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	const shown = 20
	return strings.Join(lines[max(0, len(lines)-shown):], "\n")
}
