package redisquota_test

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxy stands between a client and a server. When the client has sent a script, and the
// server has answered, it may lose the answer and the connection.
type proxy struct {
	server string
	listen net.Listener
	lose   atomic.Int32 // so many answers to scripts
	lost   func()       // called before the connection breaks; may be nil
	calls  atomic.Int32 // scripts that were sent
}

func newProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listen, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{server: server, listen: listen}
	t.Cleanup(func() { assert.NoError(t, listen.Close()) })
	go func() {
		for {
			conn, err := listen.Accept()
			if err != nil {
				return
			}
			go p.serve(conn)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.listen.Addr().String() }

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var script atomic.Bool // whether an answer to one is awaited
	go func() {
		defer func() { _ = server.Close() }()
		copyEach(server, client, func(sent []byte) bool {
			if bytes.Contains(bytes.ToLower(sent), []byte("eval")) {
				p.calls.Add(1)
				script.Store(true)
			}
			return true
		})
	}()
	copyEach(client, server, func(answer []byte) bool {
		if !script.Swap(false) || bytes.HasPrefix(answer, []byte("-NOSCRIPT")) || p.lose.Add(-1) < 0 {
			return true
		}
		if p.lost != nil {
			p.lost()
		}
		return false
	})
}

// copyEach copies what it reads as long as pass says so.
func copyEach(to io.Writer, from io.Reader, pass func(chunk []byte) bool) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil || !pass(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
