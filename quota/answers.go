package quota

import (
	"cmp"
	"container/heap"

	"github.com/tenancy-go/tenancy/tenant"
)

// answers are what a MemoryStore remembers of Takings.
type answers struct {
	known  map[answerKey]*answer
	expiry byExpiry // of all that are known
}

type answerKey struct {
	tenant tenant.ID
	id     string
}

type answer struct {
	key   answerKey
	taken Taken
	until int64
	place int // in the heap
}

// remember keeps the answer to t, and shortens how long the one is kept that t lets go of.
func (a *answers) remember(t Taking, taken Taken, now int64) {
	if old := a.known[answerKey{t.Tenant, t.Forget}]; old != nil {
		old.until = min(old.until, now+int64(AnswersFor))
		heap.Fix(&a.expiry, old.place)
	}
	next := &answer{key: answerKey{t.Tenant, t.ID}, taken: taken, until: now + int64(cmp.Or(t.Remember, AnswersFor))}
	a.known[next.key] = next
	heap.Push(&a.expiry, next)
}

// expire forgets what was to be remembered until now.
func (a *answers) expire(now int64) {
	for len(a.expiry) > 0 && a.expiry[0].until <= now {
		delete(a.known, a.expiry[0].key)
		heap.Pop(&a.expiry)
	}
}

// byExpiry is a heap with the first to be forgotten on top.
type byExpiry []*answer

func (b byExpiry) Len() int           { return len(b) }
func (b byExpiry) Less(i, j int) bool { return b[i].until < b[j].until }

func (b byExpiry) Swap(i, j int) {
	b[i], b[j] = b[j], b[i]
	b[i].place, b[j].place = i, j
}

func (b *byExpiry) Push(x any) {
	next, _ := x.(*answer)
	next.place = len(*b)
	*b = append(*b, next)
}

func (b *byExpiry) Pop() any {
	last := (*b)[len(*b)-1]
	(*b)[len(*b)-1] = nil
	*b = (*b)[:len(*b)-1]
	return last
}
