package quota

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// What keys of a store's counters begin with that stand for others.
const (
	hashedKey = "sha256:"
	manyKeys  = "many:"
)

// storeKey returns key as stores take keys: as it is, unless it is too long for that or
// has zero bytes, which the host may have from a client. No two have the same.
func storeKey(key string) string {
	if len(key) <= maxStoreKey && !strings.ContainsRune(key, 0) && !strings.HasPrefix(key, hashedKey) && !strings.HasPrefix(key, manyKeys) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hashedKey + hex.EncodeToString(sum[:])
}

// isShared reports whether p's key has no counter of its own in the store.
func (p *part) isShared() bool { return strings.HasPrefix(p.key, manyKeys) }

// storeKey returns the key of the store's counter for p. Keys of a rate that find no room
// here share a few counters there as well, so that a flood of invented keys does not fill
// the store.
func (s *accountState) storeKey(p *part) string {
	if p.limit.Per != PerKey {
		return ""
	}
	if e := s.entry(p.claim.Limit); p.limit.Kind == Rate && e.keys != nil && e.keys.isShared(p.claim.Key) {
		sum := sha256.Sum256([]byte(p.claim.Key))
		return manyKeys + strconv.Itoa(int(sum[0])%overflows)
	}
	return storeKey(p.claim.Key)
}
