package row

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/tenancy-go/tenancy/tenant"
)

// A tenant's ID is kept in sequences, which are session registers of 64 bits each.
// The first byte of the first one is the ID's length, and the ID's bytes follow, there
// and in up to seven more. A UUID takes two registers of its own, and has uuidLen in
// place of a length.
const (
	wordSize  = 8
	maxWords  = 8
	uuidLen   = 64                   // longer than any ID
	uuidWord  = int64(uuidLen) << 56 // what the first register holds for a UUID
	uuidBytes = 16
)

// words returns what the registers hold for id, which is valid. Their number is 1, 2,
// 4 or 8 for a text, and 3 for a UUID as PostgreSQL spells it.
func words(id tenant.ID) []int64 {
	if u, ok := uuidOf(id); ok {
		return []int64{uuidWord, word(u[:wordSize]), word(u[wordSize:])}
	}
	size := wordSize
	for size < len(id)+1 {
		size *= 2
	}
	packed := make([]byte, size)
	packed[0] = byte(len(id))
	copy(packed[1:], id)
	all := make([]int64, size/wordSize)
	for i := range all {
		all[i] = word(packed[i*wordSize:])
	}
	return all
}

func word(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// uuidOf returns id's bytes if it is a UUID in the one spelling that PostgreSQL
// writes. Other spellings of it are other tenants.
func uuidOf(id tenant.ID) (u [uuidBytes]byte, ok bool) {
	const spelt = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
	if len(id) != len(spelt) {
		return u, false
	}
	for i := range len(spelt) {
		if (spelt[i] == '-') != (id[i] == '-') {
			return u, false
		}
	}
	n, err := hex.Decode(u[:], []byte(strings.ReplaceAll(id.String(), "-", "")))
	return u, err == nil && n == uuidBytes
}
