package xaes_test

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/isolation/internal/xaes"
)

func newKey(t testing.TB, secret []byte) *xaes.Key {
	t.Helper()
	k, err := xaes.New(secret)
	require.NoError(t, err)
	return k
}

// The vectors of https://c2sp.org/XAES-256-GCM. In the first the top bit of L is
// clear, in the second it is set.
func TestVectors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		key        byte
		additional string
		want       string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	}
	for _, tt := range tests {
		k := newKey(t, bytes.Repeat([]byte{tt.key}, xaes.KeySize))
		nonce, additional := []byte("ABCDEFGHIJKLMNOPQRSTUVWX"), []byte(tt.additional)
		sealed, err := k.SealWithNonce(nil, nonce, []byte("XAES-256-GCM"), additional)
		require.NoError(t, err)
		assert.Equal(t, tt.want, hex.EncodeToString(sealed))
		plaintext, err := k.Open(nil, append(nonce, sealed...), additional)
		require.NoError(t, err)
		assert.Equal(t, "XAES-256-GCM", string(plaintext))
	}
}

// The accumulated randomized test of the specification, 10,000 rounds.
func TestAccumulated(t *testing.T) {
	t.Parallel()
	random, sum := sha3.NewSHAKE128(), sha3.NewSHAKE128()
	read := func(n int) []byte {
		b := make([]byte, n)
		_, err := random.Read(b)
		require.NoError(t, err)
		return b
	}
	for range 10_000 {
		k := newKey(t, read(xaes.KeySize))
		nonce := read(xaes.NonceSize)
		plaintext := read(int(read(1)[0]))
		additional := read(int(read(1)[0]))
		sealed, err := k.SealWithNonce(nil, nonce, plaintext, additional)
		require.NoError(t, err)
		opened, err := k.Open(nil, append(nonce, sealed...), additional)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))
		_, _ = sum.Write(sealed)
	}
	var got [32]byte
	_, err := sum.Read(got[:])
	require.NoError(t, err)
	assert.Equal(t, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939", hex.EncodeToString(got[:]))
}

func TestSealDrawsNonces(t *testing.T) {
	t.Parallel()
	k := newKey(t, make([]byte, xaes.KeySize))
	seen := make(map[string]bool)
	for range 1000 {
		box, err := k.Seal([]byte("before"), []byte("text"), nil)
		require.NoError(t, err)
		require.Equal(t, "before", string(box[:6]))
		require.Len(t, box, 6+4+xaes.Overhead)
		nonce := string(box[6 : 6+xaes.NonceSize])
		require.False(t, seen[nonce])
		seen[nonce] = true
		opened, err := k.Open(nil, box[6:], nil)
		require.NoError(t, err)
		require.Equal(t, "text", string(opened))
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	k := newKey(t, bytes.Repeat([]byte{7}, xaes.KeySize))
	box, err := k.Seal(nil, []byte("text"), []byte("context"))
	require.NoError(t, err)
	for i := range box {
		for bit := range 8 {
			changed := bytes.Clone(box)
			changed[i] ^= 1 << bit
			_, err := k.Open(nil, changed, []byte("context"))
			require.ErrorIs(t, err, xaes.ErrOpen, "byte %d, bit %d", i, bit)
		}
	}
	for n := range len(box) {
		_, err := k.Open(nil, box[:n], []byte("context"))
		require.ErrorIs(t, err, xaes.ErrOpen, "cut to %d", n)
	}
	_, err = k.Open(nil, box, []byte("another"))
	require.ErrorIs(t, err, xaes.ErrOpen)
	_, err = newKey(t, make([]byte, xaes.KeySize)).Open(nil, box, []byte("context"))
	require.ErrorIs(t, err, xaes.ErrOpen)
}

func TestNewWantsAWholeKey(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 24, 31, 33} {
		_, err := xaes.New(make([]byte, n))
		require.Error(t, err, "%d bytes", n)
	}
}
