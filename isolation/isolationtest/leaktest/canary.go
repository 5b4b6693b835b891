package leaktest

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// A canary is the word of its tenant, which nobody can guess, and a serial number. Its letters
// and digits survive in file names, URLs, slugs and searches.
const (
	wordBytes   = 20 // "canary" and 70 random bits
	serialBytes = 4
	canaryBytes = wordBytes + serialBytes
)

// canaries are those planted, and what the kit itself gave away.
type canaries struct {
	words []string // by tenant

	mu     sync.Mutex
	next   int64
	origin map[string]string       // what planted a canary
	given  map[int]map[string]bool // by tenant: foreign canaries that its requests held
}

func newCanaries(tenants int) *canaries {
	c := &canaries{origin: make(map[string]string), given: make(map[int]map[string]bool)}
	for i := range tenants {
		c.words = append(c.words, "canary"+strings.ToLower(rand.Text())[:wordBytes-len("canary")])
		c.given[i] = make(map[string]bool)
	}
	return c
}

// mint returns a new canary of a tenant. origin says what plants it.
func (c *canaries) mint(owner int, origin string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	serial := strconv.FormatInt(c.next, 36)
	c.next++
	canary := c.words[owner] + fmt.Sprintf("%0*s", serialBytes, serial)
	c.origin[canary] = origin
	return canary
}

// plantedBy says what planted a canary, or "".
func (c *canaries) plantedBy(canary string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.origin[canary]
}

// give remembers that requests of a tenant held a foreign canary. An answer that says it
// again is an echo, and so is a row that keeps it.
func (c *canaries) give(to int, canary string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given[to][canary] = true
}

// wasGiven reports whether the canary, or what is readable of it, was in a request
// of the tenant's.
func (c *canaries) wasGiven(to int, canary string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(canary) == canaryBytes {
		return c.given[to][canary]
	}
	for given := range c.given[to] {
		if strings.HasPrefix(given, canary) {
			return true
		}
	}
	return false
}
