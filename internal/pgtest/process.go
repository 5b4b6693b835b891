package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tenancy-go/tenancy/internal/servertest"
)

const (
	startTimeout = time.Minute      // for a server to accept connections
	stopTimeout  = 20 * time.Second // for a server or its backends to end
	pollInterval = 5 * time.Millisecond
)

// errPortTaken reports that another process listens on the server's port.
var errPortTaken = errors.New("pgtest: the port is taken")

// process is a running postmaster.
type process struct {
	cmd    *exec.Cmd
	done   <-chan struct{} // closed when the postmaster has ended
	shared int             // its System V shared memory, 0 while unknown
}

// launch starts cmd.
func launch(cmd *exec.Cmd) (*process, error) {
	done, err := servertest.Launch(cmd)
	if err != nil {
		return nil, fmt.Errorf("pgtest: start postgres: %w", err)
	}
	return &process{cmd: cmd, done: done}, nil
}

// serve starts a server on data and waits until it accepts connections.
func (i *instance) serve() (*process, error) {
	log, err := os.OpenFile(i.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	defer func() { _ = log.Close() }()
	before, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	cmd := i.command("postgres", append([]string{"-D", i.dataDir()}, i.settings()...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(i.user, true)
	p, err := launch(cmd)
	if err != nil {
		return nil, err
	}
	if err := p.waitReady(filepath.Join(i.dataDir(), "postmaster.pid")); err != nil {
		p.kill()
		text := i.logSince(before)
		if strings.Contains(text, "could not create any TCP/IP sockets") {
			err = errPortTaken
		}
		return nil, fmt.Errorf("%w; its log:\n%s", err, text)
	}
	return p, nil
}

// command prepares one of PostgreSQL's programs, with none of the variables of
// the test's environment, since some of them steer PostgreSQL.
func (i *instance) command(program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(i.install.bin, program), args...)
	cmd.Dir = i.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = attributes(i.user, false)
	return cmd
}

// settings are the server's options on its command line.
func (i *instance) settings() []string {
	var args []string
	for _, setting := range []string{
		"port=" + strconv.Itoa(i.port),
		"listen_addresses=" + host,
		"unix_socket_directories=",
		"max_connections=200",
		"fsync=off",
		"synchronous_commit=on", // with fsync off it costs a write, and what was committed outlives Kill
		"full_page_writes=off",
		"dynamic_shared_memory_type=mmap", // in the data directory, so that nothing outlives it
		"log_line_prefix=%m [%p] [%d] ",
		"timezone=UTC",
	} {
		args = append(args, "-c", setting)
	}
	return args
}

// waitReady waits until the postmaster writes in its pid file that it is ready.
func (p *process) waitReady(pidFile string) error {
	deadline := time.After(startTimeout)
	for {
		if shared, ready := readPIDFile(pidFile, p.cmd.Process.Pid); ready {
			p.shared = shared
			return nil
		}
		select {
		case <-p.done:
			return errors.New("pgtest: the server ended while starting")
		case <-deadline:
			return fmt.Errorf("pgtest: the server is not ready after %v", startTimeout)
		case <-time.After(pollInterval):
		}
	}
}

// readPIDFile reads the number of the shared memory segment, and whether the
// postmaster pid is ready. The lines are the pid, the data directory, the start
// time, the port, the socket directory, the address, the key and number of the
// segment, and the state.
func readPIDFile(path string, pid int) (shared int, ready bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[0]) != strconv.Itoa(pid) {
		return 0, false
	}
	if segment := strings.Fields(lines[6]); len(segment) == 2 {
		shared, _ = strconv.Atoi(segment[1])
	}
	return shared, strings.TrimSpace(lines[7]) == "ready"
}

// stop shuts the server down fast, and kills it when that takes too long.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // one that has ended needs no signal
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.kill()
	}
}

// kill ends the postmaster and its backends by SIGKILL and waits until all of
// them are gone.
func (p *process) kill() {
	backends, _ := killTree(p.cmd.Process) // fails for a postmaster that has ended
	<-p.done
	for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(pollInterval) {
		if !slices.ContainsFunc(backends, alive) {
			return
		}
	}
}
