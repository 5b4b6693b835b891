package tenant

import (
	"context"
	"errors"
	"sync"
)

// memoryWatch is what one call of Watch has yet to tell.
type memoryWatch struct {
	mu      sync.Mutex
	changes []Change      // guarded by mu
	ready   chan struct{} // holds a token while there are changes
}

func (w *memoryWatch) add(c Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, c)
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *memoryWatch) take() []Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}

// Watch implements [Watcher]. It calls changed in the order of the changes, and
// may be called any number of times.
func (s *MemoryStore) Watch(ctx context.Context, changed func(Change)) error {
	if changed == nil {
		return errors.New("tenant: watch: want a function to call, not nil")
	}
	w := &memoryWatch{ready: make(chan struct{}, 1)}
	s.mu.Lock()
	s.watchers[w] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, w)
		s.mu.Unlock()
	}()

	changed(Change{})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ready:
			for _, c := range w.take() {
				changed(c)
			}
		}
	}
}
