// Package envelopetest checks implementations of envelope.Store, envelope.Journal and
// envelope.Provider.
//
//	func TestStore(t *testing.T) {
//		envelopetest.TestStore(t, func(t *testing.T) envelope.Store { return mystore.New(...) })
//	}
package envelopetest
