package benchmarks

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"io"
	"testing"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
)

// sealing is what BenchmarkEnvelope compares: one key in hand, and keys of a tenant.
type sealing struct {
	aead cipher.AEAD
	keys *envelope.Keys
	ctx  context.Context
}

func newSealing(b *testing.B) sealing {
	b.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	must(b, err)
	aead, err := cipher.NewGCMWithRandomNonce(block)
	must(b, err)
	ring, err := envelope.NewKeyring("one", map[string][]byte{"one": make([]byte, 32)})
	must(b, err)
	keys, err := envelope.New(ring, envelope.NewMemoryStore())
	must(b, err)
	ctx := tenant.NewContext(b.Context(), tenant.Tenant{ID: "tenant-1"})
	return sealing{aead, keys, ctx}
}

var ssn = envelope.Column{Table: "patients", Name: "ssn", Row: "42"}

// BenchmarkEnvelope compares a field sealed with the tenant's key, from a warm cache, with
// bare AES-256-GCM with a random nonce and one key for all.
func BenchmarkEnvelope(b *testing.B) {
	s := newSealing(b)
	for b.Loop() {
		results := table{title: "A sealed field, keys in memory"}
		for _, size := range []struct {
			label string
			bytes int
		}{{"32 bytes", 32}, {"1 KiB", 1 << 10}, {"64 KiB", 64 << 10}} {
			plain := make([]byte, size.bytes)
			results.add("seal "+size.label, compare(b, 1, s.seal(plain)...))
			results.add("open "+size.label, compare(b, 1, s.open(b, plain)...))
		}
		results.add("stream of 1 MiB, written", compare(b, 1, s.write(make([]byte, 1<<20))...))
		results.print(b)
	}
}

func (s sealing) seal(plain []byte) []contender {
	return []contender{
		{name: "bare AES-GCM", op: func(int, int) error { s.aead.Seal(nil, nil, plain, nil); return nil }},
		{name: "envelope", op: func(int, int) error { _, err := s.keys.Seal(s.ctx, ssn, plain); return err }},
	}
}

func (s sealing) open(b *testing.B, plain []byte) []contender {
	b.Helper()
	box := s.aead.Seal(nil, nil, plain, nil)
	sealed, err := s.keys.Seal(s.ctx, ssn, plain)
	must(b, err)
	return []contender{
		{name: "bare AES-GCM", op: func(int, int) error { _, err := s.aead.Open(nil, nil, box, nil); return err }},
		{name: "envelope", op: func(int, int) error { _, err := s.keys.Open(s.ctx, ssn, sealed); return err }},
	}
}

func (s sealing) write(plain []byte) []contender {
	return []contender{
		{name: "bare AES-GCM", op: func(int, int) error { _, err := io.Discard.Write(s.aead.Seal(nil, nil, plain, nil)); return err }},
		{name: "envelope", op: func(int, int) error {
			w, err := s.keys.Writer(s.ctx, io.Discard, "files", "")
			if err != nil {
				return err
			}
			if _, err := io.Copy(w, bytes.NewReader(plain)); err != nil {
				return err
			}
			return w.Close()
		}},
	}
}
