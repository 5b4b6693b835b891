package archive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
)

// sum is the hash of a set of rows: the sum of their SHA-256 hashes, modulo 2^256.
// It does not depend on the rows' order, and rows can be added and taken away, so
// what was verified once need not be read again when a few rows change.
//
// It finds what goes wrong by accident. Against one who forges rows an archive
// is sealed by encryption.
type sum [4]uint64

// hashRow returns the hash of one row, as archives have it.
func hashRow(row []byte) sum {
	h := sha256.Sum256(row)
	var s sum
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(h[8*i:])
	}
	return s
}

func (s *sum) add(o sum) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], o[i], carry)
	}
}

func (s *sum) sub(o sum) {
	var borrow uint64
	for i := range s {
		s[i], borrow = bits.Sub64(s[i], o[i], borrow)
	}
}

func (s sum) String() string {
	var b [32]byte
	for i, n := range s {
		binary.LittleEndian.PutUint64(b[8*i:], n)
	}
	return hex.EncodeToString(b[:])
}

// MarshalText spells s in hexadecimal.
func (s sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (s *sum) UnmarshalText(text []byte) error {
	var b [32]byte
	if n, err := hex.Decode(b[:], text); err != nil || n != len(b) || len(text) != 2*len(b) {
		return fmt.Errorf("hash %q: want 64 hexadecimal digits", text)
	}
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return nil
}

// tally is a table's rows in number and hash.
type tally struct {
	Rows int64
	Sum  sum
}

func (t *tally) add(row []byte) {
	t.Rows++
	t.Sum.add(hashRow(row))
}

func (t *tally) sub(row []byte) {
	t.Rows--
	t.Sum.sub(hashRow(row))
}
