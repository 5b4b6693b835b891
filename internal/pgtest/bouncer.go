package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// bouncerAttempts is how many ports a PgBouncer is tried on.
const bouncerAttempts = 5

// Bouncer is a PgBouncer before a database, of one test.
type Bouncer struct {
	addr     string
	database string
}

// Bouncer starts a PgBouncer before d. It logs in at the server as role, whoever
// logs in to it, and has a pool of size connections. mode is session, transaction or
// statement. It ends with the test.
func (d *DB) Bouncer(t testing.TB, mode string, size int, role, password string) *Bouncer {
	t.Helper()
	program, err := findBouncer()
	if err != nil {
		Missing(t, "pgbouncer")
	}
	dir := t.TempDir()
	for _, entered := range []string{filepath.Dir(dir), dir} { // its user must be able to enter
		if err := os.Chmod(entered, 0o755); err != nil { //nolint:gosec // the folder of a test
			t.Fatalf("pgtest: %v", err)
		}
	}
	for range bouncerAttempts {
		b := &Bouncer{database: d.Name}
		if err = b.start(t, d, program, dir, fmt.Sprintf("pool_mode = %s\ndefault_pool_size = %d\n", mode, size), role, password); err == nil {
			return b
		}
	}
	t.Fatalf("pgtest: start pgbouncer: %v", err)
	return nil
}

func findBouncer() (string, error) {
	if program, err := exec.LookPath("pgbouncer"); err == nil {
		return program, nil
	}
	return exec.LookPath("/usr/sbin/pgbouncer")
}

func (b *Bouncer) start(t testing.TB, d *DB, program, dir, settings, role, password string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	b.addr = net.JoinHostPort(host, strconv.Itoa(port))
	serverHost, serverPort, err := net.SplitHostPort(d.Server.Addr())
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "bouncer.ini")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%s user=%s password='%s'\n[pgbouncer]\nlisten_addr = %s\nlisten_port = %d\n"+
		"unix_socket_dir =\nauth_type = any\nmax_client_conn = 500\nlogfile = %s\n%s",
		d.Name, serverHost, serverPort, role, password, host, port, filepath.Join(dir, "log"), settings)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil { //nolint:gosec // read by another user, and of a test
		return err
	}
	account := d.Server.instance.user
	if account != nil {
		if err := os.Chown(dir, account.UID, account.GID); err != nil {
			return err
		}
	}
	cmd := exec.Command(program, config) //nolint:noctx // ends with the test
	cmd.SysProcAttr = attributes(account, true)
	p, err := launch(cmd)
	if err != nil {
		return err
	}
	if err := b.waitReady(p); err != nil {
		p.kill()
		return err
	}
	t.Cleanup(p.kill)
	return nil
}

// waitReady returns once the bouncer takes connections.
func (b *Bouncer) waitReady(p *process) error {
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		select {
		case <-p.done:
			return fmt.Errorf("pgtest: pgbouncer ended at once; the port of %s may be taken", b.addr)
		default:
		}
		if conn, err := net.DialTimeout("tcp", b.addr, time.Second); err == nil { //nolint:noctx // has a timeout
			return conn.Close()
		}
		time.Sleep(pollInterval)
	}
	return fmt.Errorf("pgtest: pgbouncer does not listen on %s", b.addr)
}

// URL returns the URL of the database behind the bouncer, without TLS.
func (b *Bouncer) URL() string {
	u := url.URL{Scheme: "postgres", User: url.User("anyone"), Host: b.addr, Path: "/" + b.database, RawQuery: "sslmode=disable"}
	return u.String()
}
