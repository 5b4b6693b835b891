package quota

import "sync"

// Ref names a limit, feature or set of resources for fast use: it is looked up by
// name once, when a host starts. It is fast with the [Enforcer] it is from, and goes by its
// name with any other.
type Ref struct {
	name  string
	index int       // from 1; 0 is the zero Ref, which no plan has
	of    *registry // whose number index is
}

// String returns the name.
func (r Ref) String() string { return r.name }

// registry numbers names, from 1. Numbers are never given back.
type registry struct {
	mu     sync.RWMutex
	number map[string]int
}

// ref returns the Ref of name.
func (r *registry) ref(name string) Ref {
	r.mu.RLock()
	index, ok := r.number[name]
	r.mu.RUnlock()
	if ok {
		return Ref{name, index, r}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if index, ok = r.number[name]; !ok {
		if r.number == nil {
			r.number = make(map[string]int)
		}
		index = len(r.number) + 1
		r.number[name] = index
	}
	return Ref{name, index, r}
}
