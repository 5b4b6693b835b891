package envelopetest

import (
	"context"
	"testing"

	"github.com/tenancy-go/tenancy/isolation/envelope"
)

// TestStore checks the stores that newStore returns against the contract of
// [envelope.Store]. Each call of newStore returns an empty store, which newStore's t
// cleans up. Every clause of the contract is a subtest.
func TestStore(t *testing.T, newStore func(t *testing.T) envelope.Store) {
	t.Helper()
	run(t, storeClauses(), newStore)
	run(t, journalClauses(), func(t *testing.T) envelope.Journal { return newStore(t) })
}

// TestJournal checks the journals that newJournal returns, each empty, against the
// contract of [envelope.Journal].
func TestJournal(t *testing.T, newJournal func(t *testing.T) envelope.Journal) {
	t.Helper()
	run(t, journalClauses(), newJournal)
}

// TestProvider checks the providers that newProvider returns against the contract of
// [envelope.Provider].
func TestProvider(t *testing.T, newProvider func(t *testing.T) envelope.Provider) {
	t.Helper()
	run(t, providerClauses(), newProvider)
}

// clause is one part of a contract. check returns what breaks it.
type clause[T any] struct {
	name  string
	check func(ctx context.Context, subject T) error
}

func run[T any](t *testing.T, clauses []clause[T], newSubject func(t *testing.T) T) {
	t.Helper()
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(t.Context(), newSubject(t)); err != nil {
				t.Error(err)
			}
		})
	}
}
