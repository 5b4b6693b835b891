package leaktest

import (
	"context"
	"errors"
	"sync"
)

// board has, for each step, the newest run of each tenant that is right before it.
type board struct {
	mu   sync.Mutex
	runs map[boardKey]*run
}

type boardKey struct {
	scenario, step int
	tenant         int
}

func (b *board) put(key boardKey, r *run) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs[key] = r
}

func (b *board) get(key boardKey) *run {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.runs[key]
}

// storm lets all tenants do everything at once, and ask for each other's data while
// they do.
func (k *kit) storm(ctx context.Context) error {
	k.storming = true
	defer func() { k.storming = false }()
	b := &board{runs: make(map[boardKey]*run)}
	var wg sync.WaitGroup
	errs := make([]error, len(k.actors)*k.app.Workers)
	for i := range errs {
		by := k.actors[i%len(k.actors)]
		wg.Go(func() {
			for round := range k.app.Rounds {
				for s := range k.app.Scenarios {
					at := (s + i/len(k.actors) + round) % len(k.app.Scenarios)
					if err := k.stormThrough(ctx, b, at, by); err != nil {
						errs[i] = err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// stormThrough runs a scenario among others. A step that fails ends it: others of the same
// tenant may have changed what it needs.
func (k *kit) stormThrough(ctx context.Context, b *board, at int, by *actor) error {
	s := &k.app.Scenarios[at]
	if s.OwnSession {
		return nil // clients of one tenant would end each other's sessions
	}
	r, err := k.begin(ctx, s, by)
	if err != nil {
		return err
	}
	for n, step := range s.Steps {
		b.put(boardKey{at, n, by.index}, r.clone())
		if step.reads() {
			if err := k.stormAttack(ctx, b, boardKey{at, n, 0}, r, step); err != nil {
				return err
			}
		}
		if err := k.advance(ctx, r, step); errors.Is(err, errStep) {
			k.coverage.stormFailed(s.Name, step)
			return nil
		} else if err != nil {
			return err
		}
		k.coverage.stormed(s.Name, step)
	}
	return nil
}

// stormAttack asks with the values of every other tenant.
func (k *kit) stormAttack(ctx context.Context, b *board, key boardKey, own *run, step Step) error {
	for _, victim := range k.actors {
		key.tenant = victim.index
		foreign := b.get(key)
		if victim == own.by || foreign == nil {
			continue
		}
		p := pair{own, foreign}
		a := attack{name: "all values of " + victim.ID.String() + "'s, among many requests at once", at: own.by.Address, swap: func(slot) bool { return true }}
		r, err := k.request(p, step, a)
		if err != nil {
			return err
		}
		if _, err := k.exchange(ctx, p.evidence(step, a, r)); err != nil {
			return err
		}
	}
	return nil
}
