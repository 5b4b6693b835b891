package leaktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// slot is a variable at a place of a request.
type slot struct{ name, place string }

// pair is a run of the tenant that attacks and one of its victim, both right before the
// step under attack.
type pair struct{ own, foreign *run }

// attack is a way to ask for another tenant's data.
type attack struct {
	name   string
	at     Address
	swap   func(slot) bool // which of the victim's values are used; nil is none
	change func(*Request)  // nil changes nothing
}

// prepare runs the scenario anew for both, so that what the step uses is there,
// whatever was changed or deleted before.
func (k *kit) prepare(ctx context.Context, s *Scenario, n int, by, victim *actor) (pair, error) {
	foreign, err := k.upTo(ctx, s, n, victim)
	if err != nil {
		return pair{}, err
	}
	own, err := k.upTo(ctx, s, n, by)
	return pair{own, foreign}, err
}

// swapped looks up own values, but the victim's where swap says so.
func (k *kit) swapped(p pair, origin string, swap func(slot) bool) lookup {
	own := k.values(p.own, origin)
	return func(name, place string) (string, error) {
		if swap != nil && k.swappable(p, name) && swap(slot{name, place}) {
			v, _ := p.foreign.value(name)
			return v, nil
		}
		return own(name, place)
	}
}

// swappable reports whether the victim has a value of a variable that is not the
// tenant's own as well, nor a credential.
func (k *kit) swappable(p pair, name string) bool {
	foreign, ok := p.foreign.value(name)
	own, _ := p.own.value(name)
	return ok && foreign != own && k.app.artefact(name) && !p.own.isSession(name)
}

// isSession reports whether a variable is a cookie of the login.
func (r *run) isSession(name string) bool {
	r.by.mu.Lock()
	defer r.by.mu.Unlock()
	for cookie := range r.by.session {
		if name == cookieVar(cookie) && !r.scenario.Anonymous {
			return true
		}
	}
	return false
}

// slots returns where the step uses values that can be swapped.
func (k *kit) slots(p pair, step Step) ([]slot, error) {
	var found []slot
	own := k.values(p.own, "")
	_, err := build(step, p.own.extra(), p.own.by.Address, p.own.jar, func(name, place string) (string, error) {
		if name == canaryVar {
			return "", nil
		}
		if s := (slot{name, place}); k.app.artefact(name) && !p.own.isSession(name) && !slices.Contains(found, s) {
			if k.swappable(p, name) {
				found = append(found, s)
			} else {
				k.coverage.alike(s)
			}
		}
		return own(name, place)
	})
	return found, err
}

// credentialed reports whether the tenant proves who it is, so that the address alone
// does not say whose data it may see.
func (k *kit) credentialed(r *run, step Step) bool {
	if !r.scenario.Anonymous && (len(r.by.session) > 0 || len(r.by.Credentials) > 0) {
		return true
	}
	secret := false
	_, err := build(step, r.extra(), r.by.Address, r.jar, func(name, _ string) (string, error) {
		secret = secret || k.app.Variables[name].Secret
		return "x", nil
	})
	return err == nil && secret
}

// attacks returns all attacks on a step. The first is the plain one with every value
// swapped.
func (k *kit) attacks(p pair, step Step) ([]attack, error) {
	slots, err := k.slots(p, step)
	if err != nil {
		return nil, err
	}
	victim, home := p.foreign.by.ID, p.own.by.Address
	var all []attack
	everything := func(slot) bool { return true }
	if len(slots) > 0 {
		all = append(all, attack{name: fmt.Sprintf("all values of %s's", victim), at: home, swap: everything})
	}
	if len(slots) > 1 {
		for _, s := range slots {
			one := func(at slot) bool { return at == s }
			all = append(all, attack{name: fmt.Sprintf("%s of %s's in the %s", s.name, victim, s.place), at: home, swap: one})
		}
	}
	for _, s := range slots {
		k.coverage.tried(s)
	}
	credentialed := k.credentialed(p.own, step)
	if credentialed && !step.Public {
		for _, at := range p.foreign.by.addresses() {
			if at.same(home) {
				continue
			}
			all = append(all, attack{name: fmt.Sprintf("own credentials and values at %s's address", victim), at: at})
			if len(slots) > 0 {
				all = append(all, attack{name: fmt.Sprintf("own credentials at %s's address, all values of %s's", victim, victim), at: at, swap: everything})
			}
		}
	}
	for _, c := range confusions(p, step, credentialed) {
		all = append(all, attack{name: c.name, at: home, change: c.change})
		if len(slots) > 0 && step.reads() {
			all = append(all, attack{name: c.name + ", all values of " + victim.String() + "'s", at: home, swap: everything, change: c.change})
		}
	}
	return all, nil
}

// request builds the request of an attack.
func (k *kit) request(p pair, step Step, a attack) (Request, error) {
	r, err := build(step, p.own.extra(), a.at, p.own.jar, k.swapped(p, p.own.scenario.Name+": "+step.String(), a.swap))
	if err == nil && a.change != nil {
		a.change(&r)
	}
	return r, err
}

func (p pair) evidence(step Step, a attack, r Request) evidence {
	return evidence{scenario: p.own.scenario.Name, step: step.String(), attack: a.name, by: p.own.by, victim: p.foreign.by, request: r}
}

// attackStep tries every attack of by's on victim's data at one step of a scenario.
func (k *kit) attackStep(ctx context.Context, s *Scenario, n int, by, victim *actor) error {
	p, err := k.prepare(ctx, s, n, by, victim)
	if err != nil {
		return err
	}
	step := s.Steps[n]
	all, err := k.attacks(p, step)
	if err != nil {
		return err
	}
	if step.reads() {
		err = k.attackRead(ctx, p, step, all)
	} else {
		err = k.attackWrite(ctx, s, n, p, all)
	}
	if err != nil {
		return err
	}
	return k.compareAll(ctx, s, n, by, victim)
}

// attackRead tries attacks that change nothing, one after the other. In the end the
// victim's own request must still be answered, or the attacks were for something that is not
// there.
func (k *kit) attackRead(ctx context.Context, p pair, step Step, all []attack) error {
	for _, a := range all {
		r, err := k.request(p, step, a)
		if err != nil {
			return err
		}
		if _, err := k.exchange(ctx, p.evidence(step, a, r)); err != nil {
			return err
		}
		k.coverage.attacked(p.own.scenario.Name, step)
	}
	for _, r := range []*run{p.foreign.clone(), p.own.clone()} {
		if err := k.advance(ctx, r, step); err != nil {
			return err
		}
	}
	return nil
}

// attackWrite tries attacks that may change something. For each of them both tenants begin
// anew. The victim's rows must be what they were, and its own request must be answered
// as ever.
func (k *kit) attackWrite(ctx context.Context, s *Scenario, n int, p pair, all []attack) error {
	step := s.Steps[n]
	for i, a := range all {
		if i > 0 {
			var err error
			if p, err = k.prepare(ctx, s, n, p.own.by, p.foreign.by); err != nil {
				return err
			}
		}
		if err := k.write(ctx, p, step, a); err != nil {
			return err
		}
		k.coverage.attacked(s.Name, step)
	}
	return nil
}

func (k *kit) write(ctx context.Context, p pair, step Step, a attack) error {
	before, err := k.snapshot(ctx, p.foreign.by, evidence{})
	if err != nil {
		return err
	}
	r, err := k.request(p, step, a)
	if err != nil {
		return err
	}
	e := p.evidence(step, a, r)
	if _, err := k.exchange(ctx, e); err != nil {
		return err
	}
	after, err := k.snapshot(ctx, p.foreign.by, evidence{})
	if err != nil {
		return err
	}
	for _, table := range before.changed(after) {
		k.report(Finding{Kind: Write, Where: "table " + table, Owner: p.foreign.by.ID}, e)
	}
	k.coverage.guarded.Add(1)
	if _, err := k.snapshot(ctx, p.own.by, e); err != nil {
		return err
	}
	err = k.advance(ctx, p.foreign.clone(), step)
	if errors.Is(err, errStep) {
		k.report(Finding{Kind: Write, Where: "the other tenant's own request afterwards", Owner: p.foreign.by.ID, Detail: err.Error()}, e)
		return nil
	}
	return err
}
