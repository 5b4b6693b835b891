package postgres

import (
	"database/sql/driver"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation"
)

// renamed is a connection of a lib/pq that calls its fields something else.
type renamed struct {
	driver.Conn
	pid       int
	secretKey []byte
	status    byte
}

type retyped struct {
	driver.Conn
	pid        int
	secretKey  []byte
	txnStatus  byte
	inProgress bool
}

func TestUnknownLayoutIsRefused(t *testing.T) {
	t.Parallel()
	for _, conn := range []driver.Conn{&renamed{pid: 1, secretKey: []byte{1}, status: txIdle}, &retyped{pid: 1, secretKey: []byte{1}, txnStatus: txIdle, inProgress: true}, renamed{}, nil} {
		_, err := inspect(conn)
		require.ErrorIs(t, err, isolation.ErrUnsafe)
		require.ErrorContains(t, err, "lib/pq")
	}
	_, err := (&Connector{}).accept(t.Context(), &renamed{}, nil)
	require.ErrorIs(t, err, isolation.ErrUnsafe)
}
