package pgsession_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/internal/pgtest"
	"github.com/tenancy-go/tenancy/isolation"
	"github.com/tenancy-go/tenancy/isolation/internal/pgsession"
)

func TestLimitsAsText(t *testing.T) {
	tests := []struct {
		name   string
		limits isolation.Limits
		want   string
	}{
		{"none", isolation.Limits{Connections: 3}, ""},
		{
			"all", isolation.Limits{StatementTimeout: time.Second, LockTimeout: 2 * time.Second, IdleTimeout: time.Minute, WorkMem: 8 << 20},
			"SET statement_timeout = 1000;SET lock_timeout = 2000;SET idle_in_transaction_session_timeout = 60000;SET work_mem = 8192;",
		},
		{"too little for the server", isolation.Limits{StatementTimeout: 1, WorkMem: 1}, "SET statement_timeout = 1;SET work_mem = 64;"},
		{"between", isolation.Limits{LockTimeout: 1500 * time.Microsecond, WorkMem: 100<<10 + 1023}, "SET lock_timeout = 2;SET work_mem = 100;"},
		{
			"too much for the server", isolation.Limits{StatementTimeout: math.MaxInt64, WorkMem: math.MaxInt64},
			"SET statement_timeout = 2147483647;SET work_mem = 2147483647;",
		},
	}
	limits := pgsession.NewLimits()
	for _, tt := range tests {
		for range 2 { // as rendered, and as kept
			assert.Equal(t, tt.want, limits.Settings(tt.limits).Text, tt.name)
		}
	}
}

func TestTheServerTakesWhatIsRendered(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Open(t))
	limits := pgsession.NewLimits()
	for _, l := range []isolation.Limits{
		{StatementTimeout: time.Minute, LockTimeout: 1, IdleTimeout: time.Minute, WorkMem: 1},
		{StatementTimeout: math.MaxInt64, LockTimeout: math.MaxInt64, IdleTimeout: math.MaxInt64, WorkMem: math.MaxInt64},
	} {
		s := limits.Settings(l)
		require.NoError(t, pgsession.Confine(t.Context(), conn, s.Text))
		_, err := value(t, conn, `SELECT 1`+s.Local)
		require.NoError(t, err)
		require.NoError(t, s.Set(t.Context(), conn))
		exec(t, conn, `SELECT 1`)
	}
	require.NoError(t, limits.Settings(isolation.Limits{}).Set(t.Context(), conn))
	got, err := value(t, conn, `SHOW work_mem`)
	require.NoError(t, err)
	assert.Equal(t, "4MB", got)
}
