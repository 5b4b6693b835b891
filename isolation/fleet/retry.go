package fleet

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/tenancy-go/tenancy/isolation/internal/pghome"
)

// passing are the SQLSTATEs of what may well succeed later. Whole classes have two
// characters.
var passing = []string{
	"55P03", // lock_not_available
	"40",    // deadlock, serialization failure
	"55006", // object in use
	"53300", // too many connections
	"57P01", // the server is shut down,
	"57P02", // has crashed
	"57P03", // or starts
	"08",    // connection lost
}

// isPassing reports whether err may go away by itself. It is safe to try again: what
// was committed is in the home's version table.
func isPassing(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if state := pghome.State(err); state != "" {
		for _, p := range passing {
			if strings.HasPrefix(state, p) {
				return true
			}
		}
		return false
	}
	var network net.Error
	return isBusy(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}

// isBusy reports SQLITE_BUSY or SQLITE_LOCKED, in any of their variants.
func isBusy(err error) bool {
	var e interface{ Code() int }
	if !errors.As(err, &e) {
		return false
	}
	primary := e.Code() & 0xff
	return primary == 5 || primary == 6
}

// backoff returns how long to wait before attempt n, counted from 1: doubled each
// time, up to the longest, and then anything between a half and the whole of it, so
// that workers which met do not meet again.
func backoff(n int, first, longest time.Duration) time.Duration {
	d := longest
	if n < 32 && first<<(n-1) < longest && first<<(n-1) > 0 {
		d = first << (n - 1)
	}
	return d/2 + rand.N(d/2+1)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
