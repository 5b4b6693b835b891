package tenanttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tenancy-go/tenancy/tenant"
)

// racers is how many goroutines compete for one thing.
const racers = 100

// race runs do in n goroutines, starting together, and returns their errors.
func race(n int, do func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// oneWins returns nil if one of errs is nil and all others are lost.
func oneWins(errs []error, lost error) error {
	wins := 0
	for _, err := range errs {
		switch {
		case err == nil:
			wins++
		case !errors.Is(err, lost):
			return fmt.Errorf("one of the losers: error is %w, want %w", err, lost)
		}
	}
	if wins != 1 {
		return fmt.Errorf("%d of %d won, want one", wins, len(errs))
	}
	return nil
}

func raceSlug(ctx context.Context, s tenant.Store) error {
	errs := race(racers, func(i int) error {
		t := active(tenant.ID(fmt.Sprintf("t-%d", i)))
		t.Slug = "wanted"
		_, err := s.Create(ctx, t)
		return err
	})
	if err := oneWins(errs, tenant.ErrExists); err != nil {
		return err
	}
	page, err := s.List(ctx, tenant.Query{})
	if err != nil {
		return err
	}
	if len(page.Tenants) != 1 {
		return fmt.Errorf("%d tenants are kept, want the winner's", len(page.Tenants))
	}
	return finds(ctx, s, tenant.BySlug("wanted"), page.Tenants[0])
}

// raceDomains has half the racers list the domains in the other order, which a
// store must not let end in a deadlock.
func raceDomains(ctx context.Context, s tenant.Store) error {
	for i := range racers {
		if _, err := create(ctx, s, active(tenant.ID(fmt.Sprintf("t-%d", i)))); err != nil {
			return err
		}
	}
	errs := race(racers, func(i int) error {
		t := active(tenant.ID(fmt.Sprintf("t-%d", i)))
		t.Version, t.Domains = 1, []string{"one.example.org", "two.example.org"}
		if i%2 == 1 {
			t.Domains = []string{"two.example.org", "one.example.org"}
		}
		_, err := s.Update(ctx, t)
		return err
	})
	return oneWins(errs, tenant.ErrExists)
}

func raceVersion(ctx context.Context, s tenant.Store) error {
	t, err := create(ctx, s, active("acme"))
	if err != nil {
		return err
	}
	errs := race(racers, func(i int) error {
		changed := t
		changed.Name = fmt.Sprintf("by %d", i)
		_, err := s.Update(ctx, changed)
		return err
	})
	if err := oneWins(errs, tenant.ErrConflict); err != nil {
		return err
	}
	kept, err := s.Find(ctx, tenant.ByID("acme"))
	if err != nil {
		return err
	}
	if kept.Version != 2 || errs[winner(errs)] != nil || kept.Name != fmt.Sprintf("by %d", winner(errs)) {
		return fmt.Errorf("version %d, %q is kept, want version 2 of the winner, %d", kept.Version, kept.Name, winner(errs))
	}
	return nil
}

func winner(errs []error) int {
	for i, err := range errs {
		if err == nil {
			return i
		}
	}
	return 0
}

// raceCircle moves each of two tenants under the other at once, several times.
func raceCircle(ctx context.Context, s tenant.Store) error {
	for round := range 10 {
		a, b := tenant.ID(fmt.Sprintf("a-%d", round)), tenant.ID(fmt.Sprintf("b-%d", round))
		if _, err := create(ctx, s, active(a), active(b)); err != nil {
			return err
		}
		errs := race(2, func(i int) error {
			t := child(a, b)
			if i == 1 {
				t = child(b, a)
			}
			t.Version = 1
			_, err := s.Update(ctx, t)
			return err
		})
		if err := oneWins(errs, tenant.ErrInvalid); err != nil {
			return err
		}
	}
	return nil
}

// raceOrphan deletes a tenant while another is created under it, several times.
func raceOrphan(ctx context.Context, s tenant.Store) error {
	for round := range 10 {
		parent := tenant.ID(fmt.Sprintf("parent-%d", round))
		if _, err := create(ctx, s, active(parent)); err != nil {
			return err
		}
		errs := race(2, func(i int) error {
			if i == 0 {
				_, err := s.Delete(ctx, parent, 1)
				return err
			}
			_, err := s.Create(ctx, child(tenant.ID(fmt.Sprintf("child-%d", round)), parent))
			return err
		})
		if err := oneWins(errs, tenant.ErrInvalid); err != nil {
			return err
		}
	}
	return nil
}

type watcherClause struct {
	name  string
	check func(ctx context.Context, s tenant.Store, w tenant.Watcher) error
}

func watcherClauses() []watcherClause {
	return []watcherClause{
		{"watch tells of every change", watchTells},
		{"watch ends with its context", watchEnds},
	}
}

// watchWait bounds the wait for a change to arrive.
const watchWait = 30 * time.Second

// watch starts w and returns what it tells, once it is listening. The returned
// function stops it and returns its error.
func watch(ctx context.Context, w tenant.Watcher) (<-chan tenant.Change, func() error, error) {
	ctx, cancel := context.WithCancel(ctx)
	changes := make(chan tenant.Change, 1000)
	done := make(chan error, 1)
	go func() { done <- w.Watch(ctx, func(c tenant.Change) { changes <- c }) }()
	stop := func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(watchWait):
			return errors.New("watch did not end with its context")
		}
	}
	select {
	case c := <-changes:
		if c != (tenant.Change{}) {
			return nil, stop, fmt.Errorf("the first change is %q, want the zero Change", c.ID)
		}
		return changes, stop, nil
	case err := <-done:
		return nil, func() error { cancel(); return err }, fmt.Errorf("watch ended: %w", err)
	case <-time.After(watchWait):
		return nil, stop, errors.New("watch did not say that it listens")
	}
}

func watchTells(ctx context.Context, s tenant.Store, w tenant.Watcher) error {
	changes, stop, err := watch(ctx, w)
	if err != nil {
		return errors.Join(err, stop())
	}
	t, err := create(ctx, s, active("acme"))
	if err == nil {
		err = told(changes, "acme")
	}
	if err == nil {
		t.Name = "changed"
		t, err = s.Update(ctx, t)
	}
	if err == nil {
		err = told(changes, "acme")
	}
	if err == nil {
		_, err = s.Delete(ctx, t.ID, t.Version)
	}
	if err == nil {
		err = told(changes, "acme")
	}
	if err != nil {
		return errors.Join(err, stop())
	}
	return wantErr("watch", stop(), context.Canceled)
}

// told waits until a change of id is told. A zero Change tells of all.
func told(changes <-chan tenant.Change, id tenant.ID) error {
	select {
	case c := <-changes:
		if c.ID != id && c.ID != "" {
			return fmt.Errorf("told of a change to %s, want %s", c.ID, id)
		}
		return nil
	case <-time.After(watchWait):
		return fmt.Errorf("not told of the change to %s", id)
	}
}

func watchEnds(ctx context.Context, _ tenant.Store, w tenant.Watcher) error {
	_, stop, err := watch(ctx, w)
	if err != nil {
		return errors.Join(err, stop())
	}
	return wantErr("watch", stop(), context.Canceled)
}
