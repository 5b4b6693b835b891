package envelope_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/envelope"
	"github.com/tenancy-go/tenancy/tenant"
	"github.com/tenancy-go/tenancy/tenant/tenanttest"
)

func index(t testing.TB, k *envelope.Keys, table, column string, opts ...envelope.IndexOption) *envelope.Index {
	t.Helper()
	x, err := k.Index(table, column, opts...)
	require.NoError(t, err)
	return x
}

func token(t testing.TB, x *envelope.Index, id tenant.ID, value string) string {
	t.Helper()
	b, err := x.Token(as(t, id), value)
	require.NoError(t, err)
	return string(b)
}

func TestIndex(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	emails := index(t, k, "patients", "email", envelope.Normalise(strings.ToLower))
	want := token(t, emails, "acme", "Ada@Example.com")
	assert.Len(t, want, 16)
	assert.Equal(t, want, token(t, emails, "acme", "ada@example.com"), "normalised")
	tokens, err := emails.Tokens(as(t, "acme"), "ADA@example.com")
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte(want)}, tokens)
	assert.Equal(t, want, token(t, index(t, k, "patients", "email", envelope.Normalise(strings.ToLower)), "acme", "ada@example.com"))

	for name, other := range map[string]string{
		"another value":       token(t, emails, "acme", "bob@example.com"),
		"another tenant":      token(t, emails, "globex", "ada@example.com"),
		"another table":       token(t, index(t, k, "patient", "email"), "acme", "ada@example.com"),
		"another column":      token(t, index(t, k, "patients", "mail"), "acme", "ada@example.com"),
		"names run together":  token(t, index(t, k, "patient", "semail"), "acme", "ada@example.com"),
		"not normalised":      token(t, index(t, k, "patients", "email"), "acme", "Ada@Example.com"),
		"the empty value":     token(t, emails, "acme", ""),
		"another tenant's, 2": token(t, emails, "initech", "ada@example.com"),
	} {
		assert.NotEqual(t, want, other, name)
	}
}

func TestIndexOfATenantWithoutAKey(t *testing.T) {
	t.Parallel()
	p := newKMS(t)
	tokens, err := index(t, newKeys(t, p, envelope.NewMemoryStore()), "patients", "email").Tokens(as(t, "acme"), "ada@example.com")
	require.NoError(t, err)
	assert.Empty(t, tokens)
	wraps, _ := p.counts()
	assert.Zero(t, wraps, "searching makes no key")
}

// While rows are indexed anew, a search finds those of old and new.
func TestIndexRotation(t *testing.T) {
	t.Parallel()
	clock := tenanttest.NewClock()
	k := fresh(t, envelope.WithClock(clock.Now))
	emails := index(t, k, "patients", "email")
	old := token(t, emails, "acme", "ada@example.com")
	_ = seal(t, k, "acme", ssn, "text")
	_, err := k.Rotate(as(t, "acme"), envelope.Fields)
	require.NoError(t, err)
	assert.Equal(t, old, token(t, emails, "acme", "ada@example.com"), "fields are another purpose")

	_, err = k.Rotate(as(t, "acme"), envelope.Indexes)
	require.NoError(t, err)
	newer := token(t, emails, "acme", "ada@example.com")
	assert.NotEqual(t, old, newer)
	tokens, err := emails.Tokens(as(t, "acme"), "ada@example.com")
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte(newer), []byte(old)}, tokens)

	clock.Advance(time.Hour)
	_, err = k.Retire(as(t, "acme"), envelope.Indexes, 2)
	require.NoError(t, err)
	tokens, err = emails.Tokens(as(t, "acme"), "ada@example.com")
	require.NoError(t, err)
	assert.Equal(t, [][]byte{[]byte(newer)}, tokens)
}

// Shorter tokens are the beginnings of longer ones, and are shared as often as is said.
func TestIndexBits(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	whole := token(t, index(t, k, "patients", "email", envelope.Bits(256)), "acme", "ada@example.com")
	for _, bits := range []int{8, 12, 15, 16, 31, 128, 255} {
		got := token(t, index(t, k, "patients", "email", envelope.Bits(bits)), "acme", "ada@example.com")
		want := []byte(whole[:(bits+7)/8])
		if rest := bits % 8; rest > 0 {
			want[len(want)-1] &^= 1<<(8-rest) - 1
		}
		assert.Equal(t, string(want), got, "%d bits", bits)
	}

	const values, bits = 20_000, 12
	x := index(t, k, "patients", "email", envelope.Bits(bits))
	rows := make(map[string]int)
	for i := range values {
		rows[token(t, x, "acme", fmt.Sprint(i))]++
	}
	wrong := 0 // rows that are found beside the right one, over searches for each value
	for _, n := range rows {
		wrong += n * (n - 1)
	}
	assert.InEpsilon(t, float64(values)/(1<<bits), float64(wrong)/values, 0.1, "n / 2^b wrong rows for each search")
}

func TestIndexRefuses(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	for _, bits := range []int{0, 7, 257} {
		_, err := k.Index("patients", "email", envelope.Bits(bits))
		require.Error(t, err)
	}
	_, err := k.Index("", "email")
	require.Error(t, err)
	_, err = k.Index("patients", "email", envelope.Normalise(nil))
	require.Error(t, err)
}

// A token is no ciphertext, and a ciphertext or data key is no stream.
func TestArtefactsDoNotMix(t *testing.T) {
	t.Parallel()
	k := fresh(t)
	sealed := seal(t, k, "acme", ssn, string(text(200)))
	stream := write(t, k, "acme", archives, "a.tar", text(200))
	tok := token(t, index(t, k, "patients", "ssn", envelope.Bits(256)), "acme", "text")
	versionless := bytes.Clone(sealed)
	clear(versionless[1:5])
	for _, c := range [][]byte{stream, []byte(tok), bytes.Repeat([]byte(tok), 4), versionless} {
		_, err := k.Open(as(t, "acme"), ssn, c)
		require.ErrorIs(t, err, envelope.ErrOpen)
		_, err = envelope.Sealed(c).Value()
		require.ErrorIs(t, err, envelope.ErrNotSealed)
	}
	for _, c := range [][]byte{sealed, []byte(tok)} {
		_, err := tryRead(t, k, "acme", archives, "a.tar", c)
		require.ErrorIs(t, err, envelope.ErrOpen)
	}
}
