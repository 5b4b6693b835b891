package isolationtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

var connClauses = []clause{
	{name: "a sql.Conn serves each statement its own tenant", opts: conns(1), check: checkConn},
	{name: "a sql.Conn with open rows does not serve another tenant from their connection", opts: conns(2), check: checkOpenRows},
	{name: "rows left unread do not reach the next tenant", opts: conns(1), check: checkUnreadRows},
	{name: "a panic with the raw connection leaves nothing behind", opts: conns(1), check: checkRawPanic},
}

// withConn takes a sql.Conn for the time of do.
func (s *suite) withConn(ctx context.Context, do func(*sql.Conn) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("taking a connection: %w", err)
	}
	defer func() { _ = conn.Close() }() // an error if do closed it
	return do(conn)
}

func checkConn(ctx context.Context, s *suite) error {
	guests, err := s.invite(ctx, 3)
	if err != nil {
		return err
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		for round := range 9 {
			g := guests[round%3]
			if err := s.intactOn(ctx, conn, g); err != nil {
				return err
			}
			if err := s.affect(ctx, conn, g, seeds, "UPDATE notes SET version = version + 0"); err != nil {
				return err
			}
		}
		_, err := s.marks(ctx, conn, guests[0], allNotes)
		return wantErr("a statement without tenant on a sql.Conn", err, errNoTenant)
	})
	if err != nil {
		return err
	}
	return s.intact(ctx, guests...)
}

func checkOpenRows(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(a.in(ctx), allNotes)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // Err tells
		if !rows.Next() {
			return fmt.Errorf("no row to begin with: %w", orNone(rows.Err()))
		}
		n, err := s.read(ctx, conn, b, allNotes)
		switch {
		case errors.Is(err, isolation.ErrTenantChanged):
		case err != nil:
			return err
		case n != seeds:
			return fmt.Errorf("tenant %s read %d rows of its own, want %d", b.ID, n, seeds)
		}
		if n, err = s.scan(rows, a); err != nil || n != seeds-1 {
			return fmt.Errorf("the open rows: read %d more, want %d: %w", n, seeds-1, orNone(err))
		}
		_ = rows.Close()
		return s.intactOn(ctx, conn, b)
	})
	if err != nil {
		return err
	}
	return s.intact(ctx, a, b)
}

func checkUnreadRows(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	for range 3 {
		err := s.withConn(ctx, func(conn *sql.Conn) error {
			rows, err := conn.QueryContext(a.in(ctx), "SELECT n.body FROM notes n, notes m, notes o, notes p")
			if err != nil {
				return err
			}
			return abandon(rows)
		})
		if err != nil {
			return err
		}
		if err := s.intact(ctx, b, a); err != nil {
			return err
		}
	}
	return nil
}

// abandon reads one row and leaves the others.
func abandon(rows *sql.Rows) error {
	defer func() { _ = rows.Close() }() // Err tells
	rows.Next()
	return rows.Err()
}

func checkRawPanic(ctx context.Context, s *suite) error {
	a, b, err := s.pair(ctx)
	if err != nil {
		return err
	}
	err = s.withConn(ctx, func(conn *sql.Conn) error {
		if err := s.intactOn(ctx, conn, a); err != nil {
			return err
		}
		return caught(func() error { return conn.Raw(func(any) error { return panics() }) })
	})
	if err != nil {
		return err
	}
	return s.intact(ctx, b, a)
}

var errOnPurpose = errors.New("on purpose")

func panics() error {
	panic(errOnPurpose) //nolint:forbidigo // as a host's code does, to be caught by caught
}

// caught runs do, which must panic with errOnPurpose.
func caught(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil && p != any(errOnPurpose) {
			panic(p) //nolint:forbidigo // not this suite's
		} else if p == nil {
			err = errors.Join(errors.New("no panic came through"), err)
		}
	}()
	return do()
}
