package redistest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strconv"
)

const host = "127.0.0.1"

// freePorts returns two loopback ports that nobody listens on: for clients, and for the
// other servers of a cluster.
func freePorts() (clients, bus int, err error) {
	for clients == bus {
		var errClients, errBus error
		clients, errClients = freePort()
		bus, errBus = freePort()
		if err := errors.Join(errClients, errBus); err != nil {
			return 0, 0, err
		}
	}
	return clients, bus, nil
}

// freePort returns a port below the range from which systems take the local ports of
// outgoing connections.
func freePort() (int, error) {
	const first, count = 15000, 17000
	for range 100 {
		n, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			return 0, fmt.Errorf("redistest: %w", err)
		}
		port := first + int(n.Int64())
		var config net.ListenConfig
		listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("redistest: no free port on " + host)
}
