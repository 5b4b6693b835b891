package postgres_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
)

func assertPoolerRefused(t *testing.T, dsn string) {
	t.Helper()
	conn, err := newConnector(t, dsn).Connect(t.Context())
	assert.Nil(t, conn)
	require.ErrorIs(t, err, isolation.ErrUnsafe)
	assert.ErrorContains(t, err, "pooler")
	assert.ErrorContains(t, err, "connect to PostgreSQL itself")
}

// TestPoolerIsRefused stands a proxy before the server that announces a backend
// of its own making, as poolers do.
func TestPoolerIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	proxy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = proxy.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			client, err := proxy.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { relay(t.Context(), client, db.Server.Addr()) })
		}
	})
	assertPoolerRefused(t, "postgres://"+login(t, db).String()+"@"+proxy.Addr().String()+"/"+db.Name+"?sslmode=disable")
}

// login returns the name and password of the server's superuser.
func login(t *testing.T, db *pgtest.DB) *url.Userinfo {
	t.Helper()
	u, err := url.Parse(db.URL())
	require.NoError(t, err)
	return u.User
}

// relay passes messages on, with another process ID in BackendKeyData.
func relay(ctx context.Context, client net.Conn, server string) {
	defer client.Close()
	backend, err := new(net.Dialer).DialContext(ctx, "tcp", server)
	if err != nil {
		return
	}
	defer backend.Close()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(backend, client); _ = backend.Close() })
	defer wg.Wait()
	defer client.Close()
	in := bufio.NewReader(backend)
	for {
		header := make([]byte, 5)
		if _, err := io.ReadFull(in, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[1:])-4)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		if header[0] == 'K' {
			body[0] ^= 0x40
		}
		if _, err := client.Write(append(header, body...)); err != nil {
			return
		}
	}
}

// TestPgBouncerIsRefused is the same with PgBouncer, where it is installed.
func TestPgBouncerIsRefused(t *testing.T) {
	t.Parallel()
	bouncer, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bouncer = "/usr/sbin/pgbouncer"; !executable(bouncer) {
			pgtest.Missing(t, "pgbouncer")
		}
	}
	db := pgtest.Open(t)
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			addr := startBouncer(t, bouncer, mode, db)
			assertPoolerRefused(t, "postgres://anyone@"+addr+"/"+db.Name+"?sslmode=disable")
		})
	}
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// startBouncer runs PgBouncer before db's server and returns its address.
func startBouncer(t *testing.T, bouncer, mode string, db *pgtest.DB) string {
	t.Helper()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	host, backendPort, err := net.SplitHostPort(db.Server.Addr())
	require.NoError(t, err)

	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755), "its user must be able to enter")
	config := filepath.Join(dir, "bouncer.ini")
	password, _ := login(t, db).Password()
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `[databases]
%s = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %s
unix_socket_dir =
auth_type = any
pool_mode = %s
`, db.Name, host, backendPort, login(t, db).Username(), password, port, mode), 0o644))

	cmd := exec.CommandContext(t.Context(), bouncer, config)
	cmd.SysProcAttr = unprivileged(t)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		return err == nil && conn.Close() == nil
	}, 10*time.Second, 10*time.Millisecond)
	return addr
}

// unprivileged makes a process run as nobody, if this one is root's.
func unprivileged(t *testing.T) *syscall.SysProcAttr {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	require.NoError(t, err)
	uid, err := strconv.Atoi(nobody.Uid)
	require.NoError(t, err)
	gid, err := strconv.Atoi(nobody.Gid)
	require.NoError(t, err)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
