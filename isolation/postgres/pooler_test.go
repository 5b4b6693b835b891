package postgres_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

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

// TestPgBouncerIsRefused is the same with PgBouncer.
func TestPgBouncerIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t)
	password, _ := login(t, db).Password()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			assertPoolerRefused(t, db.Bouncer(t, mode, 2, login(t, db).Username(), password).URL())
		})
	}
}
