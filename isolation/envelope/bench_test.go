package envelope_test

import (
	"testing"

	"github.com/tenancy-go/tenancy/isolation/envelope"
)

// A field of 32 bytes, with the tenant's key in memory.
func BenchmarkField(b *testing.B) {
	k := fresh(b)
	ctx := as(b, "acme")
	plain := text(32)
	sealed, err := k.Seal(ctx, ssn, plain)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = k.Seal(ctx, ssn, plain)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = k.Open(ctx, ssn, sealed)
		}
	})
	b.Run("open/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = k.Open(ctx, ssn, sealed)
			}
		})
	})
}

func BenchmarkIndexToken(b *testing.B) {
	x := index(b, fresh(b), "patients", "ssn")
	ctx := as(b, "acme")
	b.ReportAllocs()
	for b.Loop() {
		_, _ = x.Token(ctx, "078-05-1120")
	}
}

func BenchmarkStructs(b *testing.B) {
	k := fresh(b)
	ctx := as(b, "acme")
	rows := make([]patient, 100)
	for i := range rows {
		rows[i] = patient{ID: int64(i + 1), SSN: envelope.NewField("078-05-1120")}
	}
	if err := k.SealFields(ctx, rows); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		opened := make([]patient, len(rows))
		for i := range rows {
			opened[i].ID = rows[i].ID
			_ = opened[i].SSN.Scan([]byte(rows[i].SSN.Sealed()))
		}
		if err := k.OpenFields(ctx, opened); err != nil {
			b.Fatal(err)
		}
	}
}
