package sqlquota

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/tenancy-go/tenancy/quota"
)

// failed returns err as one of this package, or the reason why ctx ended: drivers tell
// of that in ways of their own.
func failed(ctx context.Context, what string, err error) error {
	switch cause := ctx.Err(); {
	case err == nil:
		return nil
	case cause != nil:
		return fmt.Errorf("sqlquota: %s: %w", what, cause)
	case errors.Is(err, quota.ErrInvalid):
		return err
	default:
		return fmt.Errorf("%w: sqlquota: %s: %w", quota.ErrUnavailable, what, err)
	}
}

// broken reports whether err says that the connection is gone, so that nobody knows
// whether the statement was carried out.
func broken(err error) bool {
	if state := sqlState(err); state != "" {
		// An exception of the connection's class, or a server that is shutting down.
		return strings.HasPrefix(state, "08") || slices.Contains([]string{"57P01", "57P02"}, state)
	}
	gone := []error{
		driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE,
	}
	return slices.ContainsFunc(gone, func(target error) bool { return errors.Is(err, target) })
}

// sqlState returns the server's code for err, or "".
func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}
