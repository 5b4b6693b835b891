package selftest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// kept is what must be the same after a restart.
type kept struct {
	own    belongings
	totals map[string]int
}

func (t *run) remember() kept {
	own, err := t.acquire(newcomer)
	t.section("Restart")
	t.check("a conversation and a document before the stop", err)
	return kept{own: own, totals: t.totals(newcomer)}
}

// shutdown stops the program while a request is half-way in: it must be answered, and
// nothing after it.
func (t *run) shutdown() {
	conn, finish, err := t.halfRequest()
	t.check("a request is half-way in when the program is told to stop", err)
	if err != nil {
		t.check("the program stops", t.instance.Stop())
		return
	}
	defer func() { _ = conn.Close() }()
	stopped := make(chan error, 1)
	go func() { stopped <- t.instance.Stop() }()

	t.check("no new connection is taken", t.refusesConnections())
	t.check("the request is answered all the same", finish())
	t.check("then the program stops, and leaves nothing open", <-stopped)
}

// halfRequest sends a form without its last byte; finish sends it and reads the answer.
func (t *run) halfRequest() (conn net.Conn, finish func() error, err error) {
	var dialer net.Dialer
	if conn, err = dialer.DialContext(t.ctx, "tcp", t.addr); err != nil {
		return nil, nil, err
	}
	const form = "title=Last+words&text=Good+night"
	head := fmt.Sprintf("POST /documents HTTP/1.1\r\nHost: %s.localhost:%s\r\nSec-Fetch-Site: same-origin\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", newcomer, t.port, len(form))
	reader := bufio.NewReader(conn)
	err = errors.Join(conn.SetDeadline(time.Now().Add(20*time.Second)), write(conn, head))
	if err == nil {
		// The handler asks for the body: the request runs.
		err = expectLine(reader, "HTTP/1.1 100 Continue")
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, func() error {
		if err := write(conn, form); err != nil {
			return err
		}
		return readAnswer(t.ctx, reader)
	}, nil
}

func write(conn net.Conn, text string) error {
	_, err := io.WriteString(conn, text)
	return err
}

// expectLine reads a line and the empty one after it.
func expectLine(reader *bufio.Reader, want string) error {
	line, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != want {
		return fmt.Errorf("want %q, got %q", want, line)
	}
	_, err = reader.ReadString('\n')
	return err
}

func readAnswer(ctx context.Context, reader *bufio.Reader) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "/documents", nil)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(reader, req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusSeeOther {
		return fmt.Errorf("want status %d, got %d", http.StatusSeeOther, resp.StatusCode)
	}
	return nil
}

// refusesConnections waits until the port is closed.
func (t *run) refusesConnections() error {
	ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
	defer cancel()
	var dialer net.Dialer
	for ctx.Err() == nil {
		conn, err := dialer.DialContext(ctx, "tcp", t.addr)
		if err != nil {
			return nil
		}
		_ = conn.Close()
	}
	return errors.New("the port is still open")
}

// restarted checks the second start, on the data of the first.
func (t *run) restarted(k kept) {
	at := bySubdomain(newcomer)
	t.check("started again, the workspace has its conversation", t.get(t.ctx, at, "/conversations/"+k.own.conversation).want(http.StatusOK, k.own.secret))
	t.check("its document", t.get(t.ctx, byPath(newcomer), "/documents/"+k.own.document).want(http.StatusOK, k.own.secret))
	t.check("what was saved last", t.get(t.ctx, at, "/documents").want(http.StatusOK, "Last words"))
	k.totals["Documents added"]++
	k.totals["Words"] += 2
	t.check("its usage, to the word", equal(t.totals(newcomer), k.totals))
	t.check("its name and colour", errors.Join(
		t.get(t.ctx, at, "/").want(http.StatusOK, "Initech GmbH"),
		t.get(t.ctx, at, "/theme.css").want(http.StatusOK, "--accent:#b8327f")))
	t.check("the samples are there once, and the removed one is still gone", errors.Join(
		t.get(t.ctx, bySubdomain("acme"), "/").want(http.StatusOK, "Acme Robotics"),
		t.get(t.ctx, bySubdomain("by-path"), "/").want(http.StatusGone)))
	t.check("its IDs are still unknown at acme", t.get(t.ctx, bySubdomain("acme"), "/conversations/"+k.own.conversation).want(http.StatusNotFound))
}
