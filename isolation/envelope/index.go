package envelope

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/tenancy-go/tenancy/tenant"
)

// Index finds rows by the exact value of a sealed column, through a second column
// that holds [Index.Token] of the value: a keyed hash, with a key of its own for each
// tenant, table and column.
//
//	emails, err := keys.Index("patients", "email", envelope.Normalise(strings.ToLower))
//	token, err := emails.Token(ctx, "Ada@example.com")   // write beside the sealed value
//	tokens, err := emails.Tokens(ctx, "ada@example.com") // WHERE email_index = ANY($1), then Open and compare
//
// # What it gives away
//
// Whoever reads the column sees which rows of a tenant have equal values, and how
// often each occurs: with few possible values (sex, country, birth years) that is
// the value. Nobody without the key can test a guess, and tokens of two tenants or
// columns are unrelated.
//
// [Bits] shortens tokens, so that several values share one. With n different values
// in the column and b bits, a search finds n / 2^b wrong rows on average beside the
// right ones (1,000,000 values: 15 at 16 bits, 0.00023 at 32, none at the default of
// 128), which the host sorts out after Open. The fewer bits, the less equality says;
// [CipherSweet] explains how to choose. Do not index what has few values at all, and
// do not put several short indexes on one column: together they are a long one.
//
// [CipherSweet]: https://ciphersweet.paragonie.com/security
type Index struct {
	keys      *Keys
	column    Column
	bits      int
	normalise func(string) string
}

// IndexOption changes how an [Index] works.
type IndexOption func(*Index)

// Bits sets how long tokens are, 8 to 256 bits. The default is 128. Rows have to be
// indexed anew after a change.
func Bits(n int) IndexOption { return func(x *Index) { x.bits = n } }

// Normalise sets what is done to a value before it is hashed, so that values count as
// equal that differ in, say, case or spaces. Rows have to be indexed anew after a
// change.
func Normalise(f func(string) string) IndexOption { return func(x *Index) { x.normalise = f } }

// Index returns the blind index of a column.
func (k *Keys) Index(table, column string, opts ...IndexOption) (*Index, error) {
	x := &Index{keys: k, column: Column{Table: table, Name: column}, bits: 128, normalise: func(s string) string { return s }}
	for _, opt := range opts {
		opt(x)
	}
	if err := x.column.validate(); err != nil {
		return nil, err
	}
	if x.bits < 8 || x.bits > 8*sha256.Size {
		return nil, fmt.Errorf("envelope: index of %s: want 8 to 256 bits, got %d", x.column, x.bits)
	}
	if x.normalise == nil {
		return nil, errors.New("envelope: want a function that normalises, not nil")
	}
	return x, nil
}

// Token returns what to write beside a value of the context's tenant. The tenant's
// first use makes its key.
func (x *Index) Token(ctx context.Context, value string) ([]byte, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return nil, err
	}
	return again(ctx, func() ([]byte, error) {
		key, err := x.keys.current(ctx, ringID{id, Indexes})
		if err != nil {
			return nil, err
		}
		return x.token(key, id, value)
	})
}

// Tokens returns what to search for: the token of each version of the tenant's key,
// the newest first. It is one, except while rows are indexed anew after a rotation.
// A tenant without a key has no rows, and no tokens.
func (x *Index) Tokens(ctx context.Context, value string) ([][]byte, error) {
	id, err := tenant.IDFromContext(ctx)
	if err != nil {
		return nil, err
	}
	return again(ctx, func() ([][]byte, error) {
		r, _, err := x.keys.ring(ctx, ringID{id, Indexes})
		if err != nil {
			return nil, err
		}
		var tokens [][]byte
		for version := r.latest().Version; version > 0; version-- {
			key, err := x.keys.version(ctx, r.id, version)
			if errors.Is(err, ErrOpen) {
				break // retired, as are all before it
			}
			if err != nil {
				return nil, err
			}
			token, err := x.token(key, id, value)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token)
		}
		return tokens, nil
	})
}

// Format prints the column, whatever the verb.
func (x *Index) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "envelope.Index(%s)", x.column) }

func (x *Index) token(key *dataKey, id tenant.ID, value string) ([]byte, error) {
	derived, err := key.derive(keySize, "index", string(id), x.column.Table, x.column.Name)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	mac := hmac.New(sha256.New, derived)
	_, _ = mac.Write([]byte(x.normalise(value))) // a hash.Hash never fails
	token := mac.Sum(nil)[:(x.bits+7)/8]
	if rest := x.bits % 8; rest > 0 {
		token[len(token)-1] &= 0xff << (8 - rest)
	}
	return token, nil
}
