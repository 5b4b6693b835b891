package envelopetest_test

import (
	"testing"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/isolation/envelope/envelopetest"
)

func ExampleTestStore() {
	_ = func(t *testing.T) { // in a test of your own: func TestStore(t *testing.T)
		envelopetest.TestStore(t, func(*testing.T) envelope.Store { return envelope.NewMemoryStore() })
	}
	// Output:
}
