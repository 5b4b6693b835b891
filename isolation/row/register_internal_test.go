package row

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tenancy-go/tenancy/tenant"
)

// read is what the database makes of the registers.
func read(numbers []int64) string {
	var packed []byte
	for _, n := range numbers {
		packed = binary.BigEndian.AppendUint64(packed, uint64(n))
	}
	if packed[0] == uuidLen {
		h := hex.EncodeToString(packed[wordSize:])
		return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
	}
	return string(packed[1 : 1+packed[0]])
}

// FuzzWords shows that no two IDs share what the registers hold: each is read back.
func FuzzWords(f *testing.F) {
	for _, id := range []string{"a", "acme", "1234567", "12345678", "123456789012345", strings.Repeat("z", 31), strings.Repeat("z", 32), strings.Repeat("z", 63), tenant.NewID().String()} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := tenant.ParseID(text)
		if err != nil {
			return
		}
		numbers := words(id)
		assert.Equal(t, text, read(numbers))
		assert.Contains(t, []int{1, 2, 3, 4, 8}, len(numbers))
		assert.Equal(t, len(numbers) == 3, numbers[0] == uuidWord)
	})
}

func TestPadsMakeTheSameMAC(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32, 63, 64, 65, 200} {
		secret := []byte(strings.Repeat("secret", 40)[:size])
		key, err := NewKey("k1", secret)
		require.NoError(t, err)
		inner, outer := key.pads()
		message := sha256.Sum256(append(inner, "purpose.k1.claim"...))
		mac := sha256.Sum256(append(outer, message[:]...))
		assert.Equal(t, hex.EncodeToString(mac[:])+".k1.claim", key.sign("purpose", "k1.claim"))
	}
}
