package redistest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/tenancy-go/tenancy/internal/servertest"
)

// process is a running server.
type process struct {
	cmd  *exec.Cmd
	done <-chan struct{} // closed when it has ended
}

// launch starts the program of s.
func launch(s *Server) (*process, error) {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("redistest: %w", err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(context.Background(), s.program, s.settings()...)
	cmd.Dir, cmd.Env = s.dir, []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes(s.user)
	done, err := servertest.Launch(cmd)
	if err != nil {
		return nil, fmt.Errorf("redistest: start redis-server: %w", err)
	}
	return &process{cmd: cmd, done: done}, nil
}

// settings are the server's options on its command line.
func (s *Server) settings() []string {
	if s.config.sentinel {
		return []string{s.sentinelConfig(), "--sentinel", "--port", strconv.Itoa(s.port), "--bind", host, "--dir", s.dir}
	}
	args := []string{
		"--port", strconv.Itoa(s.port),
		"--bind", host,
		"--dir", s.dir,
		"--save", "",
		"--appendfsync", "no", // what was written outlives the process, if not the machine
		"--enable-debug-command", "local",
		"--io-threads", "1",
		"--repl-diskless-sync-delay", "0",
	}
	if s.config.persistent {
		args = append(args, "--appendonly", "yes")
	}
	if master := s.config.replicaOf; master != nil {
		args = append(args, "--replicaof", host, strconv.Itoa(master.port))
	}
	if s.config.cluster {
		args = append(args, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-port", strconv.Itoa(s.bus), "--cluster-node-timeout", "5000")
	}
	return args
}

// kill ends the server at once, and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails for one that has ended
	<-p.done
}
