package sqlstore_test

import (
	"testing"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

// What a tenant's first use costs a process, and any use after the TTL.
func BenchmarkLoad(b *testing.B) {
	store, _ := newSQLite(b)
	acme := tenanttest.Context(b, "acme")
	if err := newKeys(b, keyring(b, "a"), store).Ensure(acme, envelope.Fields); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := store.Load(acme, "acme", envelope.Fields); err != nil {
			b.Fatal(err)
		}
	}
}
