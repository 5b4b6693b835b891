package routetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenancy-go/tenancy/isolation/route"
	"github.com/tenancy-go/tenancy/tenant"
)

// TestStore checks a store, one subtest for each clause. newStore returns an empty one.
func TestStore(t *testing.T, newStore func(t *testing.T) route.Store) {
	for _, c := range clauses {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(t.Context(), newStore(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check is [TestStore] without a test: it returns the names of the clauses that do not
// hold. Use it to see that a store which is wrong on purpose is caught.
func Check(ctx context.Context, newStore func() route.Store) []string {
	var broken []string
	for _, c := range clauses {
		if c.check(ctx, newStore()) != nil {
			broken = append(broken, c.name)
		}
	}
	return broken
}

// TestWatcher checks a watcher. open returns an empty store and a watcher that tells of
// its changes, best as another process would have them.
func TestWatcher(t *testing.T, open func(t *testing.T) (route.Store, tenant.Watcher)) {
	store, watcher := open(t)
	if err := checkWatch(t.Context(), store, watcher); err != nil {
		t.Error(err)
	}
}

var clauses = []struct {
	name  string
	check func(context.Context, route.Store) error
}{
	{"what was created is found", checkCreate},
	{"a tenant has one placement", checkCreateTwice},
	{"an update needs the version that was read", checkConflict},
	{"versions are never used twice", checkVersions},
	{"a pinned region is lifted before it is replaced", checkRegion},
	{"tenants do not share placements", checkApart},
	{"a list is complete, in order, and by cell", checkList},
	{"of many updates at once one wins", checkRace},
	{"of many creations at once one wins", checkCreateRace},
	{"what breaks a rule is not stored", checkInvalid},
	{"a context that has ended is its error", checkContext},
}

func placed(id tenant.ID) route.Placement {
	return route.Placement{Tenant: id, Cell: "eu-shared", Region: "eu", State: route.Placed}
}

// is wants got to be want, whatever its version, which must be above 0.
func is(got, want route.Placement, err error) error {
	if err != nil {
		return err
	}
	version := got.Version
	got.Version, want.Version = 0, 0
	if got != want || version <= 0 {
		return fmt.Errorf("got %+v at version %d, want %+v at one above 0", got, version, want)
	}
	return nil
}

// fails wants err to be of the class want.
func fails(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: got error %s, want %w", what, fmt.Sprint(err), want)
	}
	return nil
}

func checkCreate(ctx context.Context, s route.Store) error {
	_, err := s.Find(ctx, "acme")
	if err := fails("an unknown tenant", err, route.ErrUnplaced); err != nil {
		return err
	}
	want := placed("acme")
	want.Version = 77 // ignored
	created, err := s.Create(ctx, want)
	if err := is(created, want, err); err != nil {
		return err
	}
	found, err := s.Find(ctx, "acme")
	if err == nil && found != created {
		err = fmt.Errorf("found %+v, was created as %+v", found, created)
	}
	return err
}

func checkCreateTwice(ctx context.Context, s route.Store) error {
	first, err := s.Create(ctx, placed("acme"))
	if err != nil {
		return err
	}
	other := placed("acme")
	other.Cell = "elsewhere"
	_, err = s.Create(ctx, other)
	if err := fails("a second placement", err, route.ErrPlaced); err != nil {
		return err
	}
	found, err := s.Find(ctx, "acme")
	return is(found, first, err)
}

func checkConflict(ctx context.Context, s route.Store) error {
	_, err := s.Update(ctx, placed("acme"))
	if err := fails("updating what is not there", err, route.ErrUnplaced); err != nil {
		return err
	}
	first, err := s.Create(ctx, placed("acme"))
	if err != nil {
		return err
	}
	moving := first
	moving.State, moving.Other = route.Moving, "eu-own"
	second, err := s.Update(ctx, moving)
	if err := is(second, moving, err); err != nil {
		return err
	}
	_, err = s.Update(ctx, first)
	if err := fails("updating an old version", err, route.ErrConflict); err != nil {
		return err
	}
	if err := fails("deleting an old version", s.Delete(ctx, "acme", first.Version), route.ErrConflict); err != nil {
		return err
	}
	found, err := s.Find(ctx, "acme")
	if err := is(found, second, err); err != nil {
		return err
	}
	if err := s.Delete(ctx, "acme", second.Version); err != nil {
		return err
	}
	_, err = s.Find(ctx, "acme")
	if err := fails("a deleted placement", err, route.ErrUnplaced); err != nil {
		return err
	}
	return fails("deleting again", s.Delete(ctx, "acme", second.Version), route.ErrUnplaced)
}

func checkVersions(ctx context.Context, s route.Store) error {
	var last int64
	for range 3 {
		p, err := s.Create(ctx, placed("acme"))
		if err != nil {
			return err
		}
		updated, err := s.Update(ctx, p)
		if err != nil {
			return err
		}
		if p.Version <= last || updated.Version <= p.Version {
			return fmt.Errorf("version %d was followed by %d, and that by %d", last, p.Version, updated.Version)
		}
		last = updated.Version
		if err := s.Delete(ctx, "acme", last); err != nil {
			return err
		}
	}
	return nil
}

func checkRegion(ctx context.Context, s route.Store) error {
	p, err := s.Create(ctx, placed("acme"))
	if err != nil {
		return err
	}
	abroad := p
	abroad.Cell, abroad.Region = "us-shared", "us"
	_, err = s.Update(ctx, abroad)
	if err := fails("replacing a pin", err, route.ErrRegion); err != nil {
		return err
	}
	found, err := s.Find(ctx, "acme")
	if err := is(found, p, err); err != nil {
		return err
	}
	lifted := found
	lifted.Region = ""
	lifted, err = s.Update(ctx, lifted)
	if err != nil {
		return fmt.Errorf("lifting a pin: %w", err)
	}
	abroad.Version = lifted.Version
	got, err := s.Update(ctx, abroad)
	return is(got, abroad, err)
}

func checkApart(ctx context.Context, s route.Store) error {
	a, err := s.Create(ctx, placed("a"))
	if err != nil {
		return err
	}
	b, err := s.Create(ctx, placed("b"))
	if err != nil {
		return err
	}
	a.Cell = "eu-own"
	if _, err = s.Update(ctx, a); err != nil {
		return err
	}
	stolen := a
	stolen.Tenant = "b" // with the version of a's
	if _, err = s.Update(ctx, stolen); err == nil {
		return errors.New("b was updated with a's version")
	}
	found, err := s.Find(ctx, "b")
	if err := is(found, b, err); err != nil {
		return err
	}
	if err := s.Delete(ctx, "b", b.Version); err != nil {
		return err
	}
	found, err = s.Find(ctx, "a")
	return is(found, a, err)
}

func checkList(ctx context.Context, s route.Store) error {
	var all, own []tenant.ID
	for i := range 25 {
		p := placed(tenant.ID(fmt.Sprintf("t-%02d", 24-i)))
		switch i % 5 {
		case 0:
			p.Cell = "eu-own"
		case 1:
			p.State, p.Other = route.Moving, "eu-own"
		}
		if i%5 < 2 {
			own = append(own, p.Tenant)
		}
		all = append(all, p.Tenant)
		if _, err := s.Create(ctx, p); err != nil {
			return err
		}
	}
	slices.Sort(all)
	slices.Sort(own)
	for cell, want := range map[string][]tenant.ID{"": all, "eu-own": own, "nowhere": nil} {
		got, err := pages(ctx, s, route.Query{Cell: cell, Limit: 4})
		if err != nil {
			return err
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("cell %q: listed %v, want %v", cell, got, want)
		}
	}
	_, err := s.List(ctx, route.Query{Limit: route.MaxLimit + 1})
	return fails("too long a page", err, route.ErrInvalid)
}

// pages reads page after page.
func pages(ctx context.Context, s route.Store, q route.Query) ([]tenant.ID, error) {
	var ids []tenant.ID
	for {
		page, err := s.List(ctx, q)
		if err != nil || len(page) == 0 {
			return ids, err
		}
		if len(page) > q.Limit {
			return nil, fmt.Errorf("a page of %d, want at most %d", len(page), q.Limit)
		}
		for _, p := range page {
			found, err := s.Find(ctx, p.Tenant)
			if err != nil || found != p {
				return nil, fmt.Errorf("listed %+v, found %+v, %w", p, found, err)
			}
			ids = append(ids, p.Tenant)
		}
		q.After = ids[len(ids)-1]
	}
}

func checkRace(ctx context.Context, s route.Store) error {
	p, err := s.Create(ctx, placed("acme"))
	if err != nil {
		return err
	}
	for range 10 {
		var won atomic.Pointer[route.Placement]
		var wins atomic.Int64
		err := together(8, func(i int) error {
			mine := p
			mine.State, mine.Other = route.Moving, fmt.Sprintf("cell-%d", i)
			got, err := s.Update(ctx, mine)
			if err == nil {
				wins.Add(1)
				won.Store(&got)
				return nil
			}
			return fails("an update that lost", err, route.ErrConflict)
		})
		if err != nil {
			return err
		}
		if wins.Load() != 1 {
			return fmt.Errorf("%d of 8 updates of one version succeeded", wins.Load())
		}
		found, err := s.Find(ctx, "acme")
		if err := is(found, *won.Load(), err); err != nil {
			return err
		}
		p = found
	}
	return nil
}

func checkCreateRace(ctx context.Context, s route.Store) error {
	var wins atomic.Int64
	err := together(8, func(i int) error {
		p := placed("acme")
		p.Cell = fmt.Sprintf("cell-%d", i)
		if _, err := s.Create(ctx, p); err != nil {
			return fails("a creation that lost", err, route.ErrPlaced)
		}
		wins.Add(1)
		return nil
	})
	if err == nil && wins.Load() != 1 {
		err = fmt.Errorf("%d of 8 creations succeeded", wins.Load())
	}
	return err
}

// together runs do n times at once.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { errs[i] = do(i) })
	}
	group.Wait()
	return errors.Join(errs...)
}

func checkInvalid(ctx context.Context, s route.Store) error {
	good, err := s.Create(ctx, placed("acme"))
	if err != nil {
		return err
	}
	for name, spoil := range map[string]func(*route.Placement){
		"a malformed tenant":          func(p *route.Placement) { p.Tenant = "No Tenant" },
		"no cell":                     func(p *route.Placement) { p.Cell = "" },
		"no state":                    func(p *route.Placement) { p.State = "" },
		"a move to nowhere":           func(p *route.Placement) { p.State = route.Moving },
		"a move to where it is":       func(p *route.Placement) { p.State, p.Other = route.Moving, p.Cell },
		"another cell without reason": func(p *route.Placement) { p.Other = "eu-own" },
		"a region that is no text":    func(p *route.Placement) { p.Region = "e\x00u" },
	} {
		p := placed("globex")
		spoil(&p)
		if _, err := s.Create(ctx, p); err == nil {
			return fmt.Errorf("created with %s", name)
		}
		p = good
		spoil(&p)
		if _, err := s.Update(ctx, p); err == nil {
			return fmt.Errorf("updated with %s", name)
		}
	}
	left, err := pages(ctx, s, route.Query{Limit: 10})
	if err == nil && !slices.Equal(left, []tenant.ID{"acme"}) {
		err = fmt.Errorf("what was refused is there: %v", left)
	}
	return err
}

func checkContext(ctx context.Context, s route.Store) error {
	p, err := s.Create(ctx, placed("acme"))
	if err != nil {
		return err
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, find := s.Find(ended, "acme")
	_, create := s.Create(ended, placed("globex"))
	_, update := s.Update(ended, p)
	_, list := s.List(ended, route.Query{})
	for what, err := range map[string]error{
		"find": find, "create": create, "update": update, "list": list, "delete": s.Delete(ended, "acme", p.Version),
	} {
		if err := fails(what, err, context.Canceled); err != nil {
			return err
		}
	}
	found, err := s.Find(ctx, "acme")
	return is(found, p, err)
}

const patience = 30 * time.Second

// checkWatch makes changes and waits for the news of each.
func checkWatch(ctx context.Context, s route.Store, w tenant.Watcher) error {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	news, done := make(chan tenant.Change, 1000), make(chan error, 1)
	go func() { done <- w.Watch(watching, func(c tenant.Change) { news <- c }) }()
	hears := func(id tenant.ID) error {
		timeout := time.After(patience)
		for {
			select {
			case c := <-news:
				if c.ID == id {
					return nil
				}
			case err := <-done:
				return fmt.Errorf("watch ended: %w", err)
			case <-timeout:
				return fmt.Errorf("no news of %q", id)
			}
		}
	}
	if err := hears(""); err != nil { // it is listening
		return err
	}
	p, err := s.Create(ctx, placed("acme"))
	if err := errors.Join(err, hears("acme")); err != nil {
		return err
	}
	p.Cell = "eu-own"
	p, err = s.Update(ctx, p)
	if err := errors.Join(err, hears("acme")); err != nil {
		return err
	}
	if _, err := s.Create(ctx, placed("globex")); err != nil {
		return err
	}
	if err := errors.Join(hears("globex"), s.Delete(ctx, "acme", p.Version), hears("acme")); err != nil {
		return err
	}
	stop()
	return fails("watching until the context ends", <-done, context.Canceled)
}
