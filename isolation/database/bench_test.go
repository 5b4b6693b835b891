package database_test

import (
	"database/sql/driver"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkConfine is what the strategy adds to a request: Place and Confine,
// beside the smallest statement there is.
func BenchmarkConfine(b *testing.B) {
	f := newFixture(b)
	s := f.strategy(b)
	acme := tenantOf("acme")
	require.NoError(b, s.Provision(b.Context(), acme))
	place, err := s.Place(b.Context(), acme)
	require.NoError(b, err)
	conn, err := place.Connector.Connect(b.Context())
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close()) }()
	b.Run("place", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Place(b.Context(), acme); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("confine", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Confine(b.Context(), conn, acme); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("select 1", func(b *testing.B) {
		execer, ok := conn.(driver.ExecerContext)
		require.True(b, ok)
		for b.Loop() {
			if _, err := execer.ExecContext(b.Context(), "SELECT 1", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("connect", func(b *testing.B) {
		for b.Loop() {
			conn, err := place.Connector.Connect(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			_ = conn.Close()
		}
	})
}

func BenchmarkProvision(b *testing.B) {
	f := newFixture(b)
	s := f.strategy(b)
	require.NoError(b, s.Provision(b.Context(), tenantOf("first"))) // makes the template
	for i := 0; b.Loop(); i++ {
		if err := s.Provision(b.Context(), tenantOf("tenant-"+strconv.Itoa(i))); err != nil {
			b.Fatal(err)
		}
	}
}
