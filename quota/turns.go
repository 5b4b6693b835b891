package quota

import "github.com/tenancy-go/tenancy/tenant"

// turns are what waits, of whose tenants one has its turn after the other. What waits of
// one tenant stays in order. Its zero value is empty.
type turns[T any] struct {
	waiting map[tenant.ID][]T // none of them empty
	order   []tenant.ID       // of waiting
}

// push lets v wait.
func (t *turns[T]) push(id tenant.ID, v T) {
	if t.waiting == nil {
		t.waiting = make(map[tenant.ID][]T)
	}
	if len(t.waiting[id]) == 0 {
		t.order = append(t.order, id)
	}
	t.waiting[id] = append(t.waiting[id], v)
}

// first returns what has its turn, and goes on waiting, or false if nothing waits.
func (t *turns[T]) first() (v T, ok bool) {
	if len(t.order) == 0 {
		return v, false
	}
	return t.waiting[t.order[0]][0], true
}

// next ends the turn. What had it waits no longer if it is over.
func (t *turns[T]) next(over bool) {
	id := t.order[0]
	t.order = t.order[1:]
	if over {
		t.waiting[id] = t.waiting[id][1:]
	}
	if len(t.waiting[id]) == 0 {
		delete(t.waiting, id)
		return
	}
	t.order = append(t.order, id)
}

// has reports whether anything of the tenant id waits.
func (t *turns[T]) has(id tenant.ID) bool { return len(t.waiting[id]) > 0 }
