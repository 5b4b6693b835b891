package pglisten

import (
	"context"
	"time"

	"github.com/lib/pq"
)

// Pauses between attempts to reach a server that was lost.
const (
	minReconnect = 100 * time.Millisecond
	maxReconnect = 10 * time.Second
)

// Notice is what a listener hears.
type Notice struct {
	Payload string
	Gap     bool // listening has begun, or begun again, and notices may have been missed; there is no payload
}

// Follow calls heard for each notice on channel until ctx ends, and returns ctx's error.
// It fails at once if it cannot start; a connection lost later is made anew, as often as
// it takes. dsn is a URL or connection string as github.com/lib/pq takes it.
func Follow(ctx context.Context, dsn, channel string, heard func(Notice)) error {
	address := address{dsn, channel}
	l, err := address.listen(ctx)
	if err != nil {
		return err
	}
	for {
		if err := l.deliver(ctx, heard); err != nil {
			return err
		}
		if l, err = address.listenAgain(ctx); err != nil {
			return err
		}
	}
}

// listener is a connection that listens.
type listener struct {
	conn     *pq.ListenerConn
	notified <-chan *pq.Notification // closed when the connection is lost
}

// deliver calls heard until the connection is lost, then returns nil, or until ctx ends.
func (l listener) deliver(ctx context.Context, heard func(Notice)) error {
	defer l.close()
	heard(Notice{Gap: true})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n, ok := <-l.notified:
			if !ok {
				return nil
			}
			heard(Notice{Payload: n.Extra})
		}
	}
}

// close ends the connection, and takes what it had still to say.
func (l listener) close() {
	_ = l.conn.Close() // lost already, or of no more use
	for range l.notified {
	}
}

// address is where to listen, and to what.
type address struct{ dsn, channel string }

// listen connects and listens. Connecting cannot be stopped: when ctx ends first it is
// left to end by itself, within connect_timeout of the address, and is closed then.
func (a address) listen(ctx context.Context) (listener, error) {
	type outcome struct {
		listener
		err error
	}
	done := make(chan outcome)
	go func() {
		l, err := a.connect()
		select {
		case done <- outcome{l, err}:
		case <-ctx.Done():
			if err == nil {
				l.close()
			}
		}
	}()
	select {
	case <-ctx.Done():
		return listener{}, ctx.Err()
	case o := <-done:
		return o.listener, o.err
	}
}

func (a address) connect() (listener, error) {
	notified := make(chan *pq.Notification, 128)
	conn, err := pq.NewListenerConn(a.dsn, notified)
	if err != nil {
		return listener{}, err
	}
	l := listener{conn, notified}
	if _, err := conn.Listen(a.channel); err != nil {
		l.close()
		return listener{}, err
	}
	return l, nil
}

// listenAgain tries until it succeeds or ctx ends.
func (a address) listenAgain(ctx context.Context) (listener, error) {
	for pause := minReconnect; ; pause = min(2*pause, maxReconnect) {
		select {
		case <-ctx.Done():
			return listener{}, ctx.Err()
		case <-time.After(pause):
		}
		if l, err := a.listen(ctx); err == nil {
			return l, nil
		}
	}
}
