package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/tenancy-go/tenancy/tenant"
)

// channel is what the trigger of the migration notifies.
const channel = "tenancy_tenants"

// Pauses between attempts to reach a server that was lost.
const (
	minReconnect = 100 * time.Millisecond
	maxReconnect = 10 * time.Second
)

// Watch implements [tenant.Watcher]. It fails at once if it cannot start; a
// connection lost later is made anew, as often as it takes. See the package's
// documentation for what it needs.
func (s *Store) Watch(ctx context.Context, changed func(tenant.Change)) error {
	if changed == nil {
		return errors.New("sqlstore: watch: want a function to call, not nil")
	}
	if s.dialect == SQLite {
		return s.watchSQLite(ctx, changed)
	}
	if s.dsn == "" {
		return errors.New("sqlstore: watch: want the server's address; give New WithListener")
	}
	return s.watchPostgres(ctx, changed)
}

func (s *Store) watchPostgres(ctx context.Context, changed func(tenant.Change)) error {
	l, err := s.listen(ctx)
	if err != nil {
		return failed(ctx, "watch", err)
	}
	for {
		err := l.deliver(ctx, changed)
		if err != nil {
			return err
		}
		if l, err = s.listenAgain(ctx); err != nil {
			return err
		}
	}
}

// listener is a connection that listens.
type listener struct {
	conn     *pq.ListenerConn
	notified <-chan *pq.Notification // closed when the connection is lost
}

// deliver calls changed until the connection is lost, then returns nil, or until
// ctx ends.
func (l listener) deliver(ctx context.Context, changed func(tenant.Change)) error {
	defer l.close()
	changed(tenant.Change{})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case n, ok := <-l.notified:
			if !ok {
				return nil
			}
			id, err := tenant.ParseID(n.Extra)
			if err != nil {
				id = "" // sent by hand, or for all at once
			}
			changed(tenant.Change{ID: id})
		}
	}
}

// close ends the connection, and takes what it had still to say.
func (l listener) close() {
	_ = l.conn.Close() // lost already, or of no more use
	for range l.notified {
	}
}

// listen connects and listens. Connecting cannot be stopped: when ctx ends first
// it is left to end by itself, within connect_timeout of the address, and is
// closed then.
func (s *Store) listen(ctx context.Context) (listener, error) {
	type outcome struct {
		listener
		err error
	}
	done := make(chan outcome)
	go func() {
		l, err := connect(s.dsn)
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

func connect(dsn string) (listener, error) {
	notified := make(chan *pq.Notification, 128)
	conn, err := pq.NewListenerConn(dsn, notified)
	if err != nil {
		return listener{}, err
	}
	l := listener{conn, notified}
	if _, err := conn.Listen(channel); err != nil {
		l.close()
		return listener{}, err
	}
	return l, nil
}

// listenAgain tries until it succeeds or ctx ends.
func (s *Store) listenAgain(ctx context.Context) (listener, error) {
	for pause := minReconnect; ; pause = min(2*pause, maxReconnect) {
		select {
		case <-ctx.Done():
			return listener{}, ctx.Err()
		case <-time.After(pause):
		}
		if l, err := s.listen(ctx); err == nil {
			return l, nil
		}
	}
}

// watchSQLite looks into the list of changes that triggers keep.
func (s *Store) watchSQLite(ctx context.Context, changed func(tenant.Change)) error {
	var last int64
	const newest = "SELECT coalesce(max(seq), 0) FROM tenancy_tenant_changes"
	if err := s.db.GetContext(ctx, &last, newest); err != nil {
		return failed(ctx, "watch", err)
	}
	changed(tenant.Change{})
	tick := time.NewTicker(s.poll)
	defer tick.Stop()
	missed := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		changes, err := s.changesSince(ctx, last)
		if err != nil {
			missed = true // such as a file that is locked: look again
			continue
		}
		last = tell(changes, last, missed, changed)
		missed = false
	}
}

// change is a row of tenancy_tenant_changes.
type change struct {
	Seq      int64  `db:"seq"`
	TenantID string `db:"tenant_id"`
}

func (s *Store) changesSince(ctx context.Context, last int64) ([]change, error) {
	var changes []change
	err := s.db.SelectContext(ctx, &changes, "SELECT seq, tenant_id FROM tenancy_tenant_changes WHERE seq > ? ORDER BY seq", last)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: watch: %w", err)
	}
	return changes, nil
}

// tell calls changed for changes, which come after the change numbered last, and
// returns the number of the last one. It tells of everything if some were
// trimmed before they were seen.
func tell(changes []change, last int64, missed bool, changed func(tenant.Change)) int64 {
	if missed || len(changes) > 0 && changes[0].Seq != last+1 {
		changed(tenant.Change{})
	}
	for _, c := range changes {
		changed(tenant.Change{ID: tenant.ID(c.TenantID)})
		last = c.Seq
	}
	return last
}
