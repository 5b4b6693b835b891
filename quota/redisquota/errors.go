package redisquota

import (
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/tenancy-go/tenancy/quota"
)

// unavailable says that Redis gave no answer to what was asked.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: redisquota: %s: %w", quota.ErrUnavailable, what, err)
}

// broken reports whether the connection broke before the answer came: Redis may have
// carried out what it was sent, or not. A server that hangs has broken nothing.
func broken(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) && !network.Timeout()
}

// unloaded reports whether a server does not know a script, and so has not run it.
func unloaded(err error) bool { return err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") }
