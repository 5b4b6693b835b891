package row

import (
	"crypto/rand"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/tenancy-go/tenancy/isolation/postgres"
)

// seal is what the application shares with a session, and with nobody else.
type seal struct {
	secret [secretSize]byte // which both sides make of the key and of what opened the session; it is never sent
	epoch  int64            // which moves on when a key is retired
	count  int64            // of the last token
}

const secretSize = 16

// firstCount returns a number that no other session counts near to.
func firstCount() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return int64(binary.BigEndian.Uint64(b[:]) >> 2)
}

// next returns the call of tenancy.confine that fills the session's registers with word.
// It is accepted once, and no call before it is accepted any more.
func (s *seal) next(word []int64) postgres.Statement {
	s.count++
	mac := s.mac(word)
	args := make([]string, 0, len(word)+2)
	args = append(args, `\x`+hex.EncodeToString(mac[:]), strconv.FormatInt(s.count, 10))
	for _, w := range word {
		args = append(args, strconv.FormatInt(w, 10))
	}
	return postgres.Statement{Query: confineCalls[len(word)], Args: args}
}

// mac is SHA-384 over secret, epoch, count and words. Behind a secret of fixed length it
// is a message authentication code: SHA-384 shows 384 bits of a state of 512, so nobody
// extends a message by what its code tells, as could be done with SHA-256 (FIPS 180-4,
// section 6.5: SHA-384 is the left 384 bits of what SHA-512 computes from other beginnings).
func (s *seal) mac(word []int64) [sha512.Size384]byte {
	b := make([]byte, 0, secretSize+2*wordSize+arrayHeader+maxWords*(arrayItem+wordSize))
	b = append(b, s.secret[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.epoch))             //nolint:gosec // all 64 bits, as int8send has them
	b = binary.BigEndian.AppendUint64(b, uint64(s.count))             //nolint:gosec // same
	for _, n := range []uint32{1, 0, int8OID, uint32(len(word)), 1} { //nolint:gosec // at most maxWords
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, w := range word {
		b = binary.BigEndian.AppendUint32(b, wordSize)
		b = binary.BigEndian.AppendUint64(b, uint64(w)) //nolint:gosec // same
	}
	return sha512.Sum384(b)
}

// What array_send writes of an int8[]: dimensions, whether there are nulls, the type, the
// length and where it begins to count; then of each item the size and the item.
const (
	arrayHeader = 5 * 4
	arrayItem   = 4
	int8OID     = 20 // of int8, in every PostgreSQL
)

// sealMAC is the expression that the database computes [seal.mac] by. It reads the epoch
// itself: when a key is retired, no seal from before holds any more.
const sealMAC = `sha384(int8send(held[2]) || int8send(held[3]) || int8send(` + sealEpoch + `) || int8send(count) || array_send(word))`

// sealEpoch is the expression of the epoch that it is now.
const sealEpoch = `coalesce(pg_sequence_last_value('tenancy.retired'::regclass), -1)`

// confineCalls are by number of words.
var confineCalls = func() (calls [maxWords + 1]string) {
	for words := range calls {
		var args strings.Builder
		for n := range words {
			fmt.Fprintf(&args, ", $%d", n+3)
		}
		calls[words] = "SELECT tenancy.confine($1, $2" + args.String() + ")"
	}
	return calls
}()
