package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "github.com/lib/pq" // the driver of the connection that makes databases
)

const (
	host      = "127.0.0.1"
	superuser = "postgres"
)

// instance is a server: its directory, and its process while it runs.
type instance struct {
	install  installation
	user     *account
	dir      string // holds data, log and lock
	lock     *os.File
	port     int
	password string

	mu      sync.Mutex
	process *process // nil while stopped; guarded by mu
	admin   *sql.DB  // nil while stopped; guarded by mu
}

// newInstance makes a data directory and starts a server on it.
func newInstance() (*instance, error) {
	install, err := find(debianRoot)
	if err != nil {
		return nil, err
	}
	user, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := workspace(user)
	if err != nil {
		return nil, err
	}
	i := &instance{install: install, user: user, dir: dir, password: rand.Text()}
	i.lock = lock(filepath.Join(dir, lockName))
	if err := i.initialise(); err != nil {
		return nil, errors.Join(err, i.close())
	}
	if err := i.startAnywhere(); err != nil {
		return nil, errors.Join(err, i.close())
	}
	return i, nil
}

func (i *instance) dataDir() string { return filepath.Join(i.dir, "data") }
func (i *instance) logPath() string { return filepath.Join(i.dir, "log") }

// initialise runs initdb. The superuser's password goes through a file, so that
// no list of processes shows it.
func (i *instance) initialise() error {
	passwordFile := filepath.Join(i.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(i.password+"\n"), 0o600); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	if i.user != nil {
		if err := os.Chown(passwordFile, i.user.UID, i.user.GID); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	cmd := i.command("initdb", "--pgdata="+i.dataDir(), "--username="+superuser, "--pwfile="+passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w:\n%s", err, output)
	}
	return os.Remove(passwordFile)
}

// startAnywhere starts the server on a free port.
func (i *instance) startAnywhere() error {
	err := errPortTaken
	for range 10 {
		if !errors.Is(err, errPortTaken) {
			break
		}
		if i.port, err = freePort(); err == nil {
			err = i.start()
		}
	}
	return err
}

// restart starts the server on the port that it had, and waits for a while when
// another process has taken it.
func (i *instance) restart() error {
	err := i.start()
	for range 10 {
		if !errors.Is(err, errPortTaken) {
			break
		}
		time.Sleep(100 * time.Millisecond)
		err = i.start()
	}
	return err
}

// freePort returns a loopback port that nobody listens on. It lies below the
// range from which systems take the local ports of outgoing connections.
func freePort() (int, error) {
	const first, count = 15000, 17000
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			return 0, fmt.Errorf("pgtest: %w", err)
		}
		port := first + int(n.Int64())
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("pgtest: no free port on " + host)
}

// start runs the server. It does nothing while the server runs.
func (i *instance) start() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.process != nil {
		return nil
	}
	process, err := i.serve()
	if err != nil {
		return err
	}
	admin, err := sql.Open("postgres", i.url(superuser, i.password, "postgres"))
	if err != nil {
		process.kill()
		return fmt.Errorf("pgtest: %w", err)
	}
	admin.SetMaxIdleConns(1)
	i.process, i.admin = process, admin
	return nil
}

// end stops the server by the given means. It does nothing while the server is
// stopped.
func (i *instance) end(by func(*process)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.process == nil {
		return
	}
	_ = i.admin.Close() // the server ends its connections anyway
	by(i.process)
	dropSharedMemory(i.process.shared)
	i.process, i.admin = nil, nil
}

// close stops the server and removes all that it had.
func (i *instance) close() error {
	i.end((*process).stop)
	err := os.RemoveAll(i.dir)
	if i.lock != nil {
		err = errors.Join(err, i.lock.Close())
	}
	return err
}

// exec runs a statement as the superuser.
func (i *instance) exec(ctx context.Context, query string, args ...any) error {
	i.mu.Lock()
	admin := i.admin
	i.mu.Unlock()
	if admin == nil {
		return errors.New("pgtest: the server is stopped")
	}
	_, err := admin.ExecContext(ctx, query, args...)
	return err
}

func (i *instance) address() string { return net.JoinHostPort(host, strconv.Itoa(i.port)) }

func (i *instance) url(role, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(role, password),
		Host:     i.address(),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}
