package leaktest

import (
	"context"

	"github.com/tenancy-go/tenancy/tenant"
)

// evidence is what led to something that is looked at.
type evidence struct {
	scenario, step, attack string
	by                     *actor // whose data may be in it
	victim                 *actor // whose data was asked for; nil if nobody's in particular
	request                Request
}

// exchange sends a request and looks at everything that comes of it at once: the answer
// and the log.
func (k *kit) exchange(ctx context.Context, e evidence) (answer, error) {
	k.note(e.by, e.request.bytes())
	if !k.storming {
		k.app.Logs.begin(attribution{e.by.index})
		defer k.app.Logs.begin(nobody)
	}
	a, err := k.send(ctx, attribution{e.by.index}, e.request)
	if err != nil {
		return a, err
	}
	for _, p := range a.places() {
		k.look(e, p.name, p.data)
	}
	if a.sealed != "" {
		k.problem("the answer to %s is encoded as %q, which the kit cannot read: leave Accept-Encoding alone", e.step, a.sealed)
	}
	k.readLogs(e)
	return a, nil
}

// note remembers the foreign canaries in what a tenant says itself.
func (k *kit) note(by *actor, said []byte) {
	for _, s := range k.scanner.find(said) {
		if s.owner != by.index {
			k.canaries.give(by.index, s.canary)
		}
	}
}

// look finds foreign canaries in data that reached e.by.
func (k *kit) look(e evidence, where string, data []byte) {
	k.coverage.looked.Add(1)
	for _, s := range k.scanner.find(data) {
		switch {
		case s.owner == e.by.index:
			k.coverage.sawOwn(e.by.ID, where)
		case k.canaries.wasGiven(e.by.index, s.canary):
			// It says what it was told.
		default:
			k.report(Finding{
				Kind: Leak, Where: where, Canary: s.canary, Form: s.form, Excerpt: s.excerpt,
				Owner: k.actors[s.owner].ID, Planted: k.canaries.plantedBy(s.canary),
			}, e)
		}
	}
}

// readLogs looks at what was logged since the last time. What nobody can be held to is
// counted.
func (k *kit) readLogs(e evidence) {
	for _, l := range k.app.Logs.take() {
		k.coverage.logged.Add(1)
		if l.by == nobody {
			k.coverage.unattributed.Add(1)
			continue
		}
		reader := e
		if l.by.reader != e.by.index {
			reader = evidence{scenario: e.scenario, step: e.step, attack: "something at the same time", by: k.actors[l.by.reader]}
		}
		k.look(reader, "log", l.data)
	}
}

// report adds a finding with what led to it.
func (k *kit) report(f Finding, e evidence) {
	f.Scenario, f.Step, f.Attack, f.Request = e.scenario, e.step, e.attack, e.request
	f.Reader = e.by.ID
	k.collected.add(f)
}

// find returns the actor of an ID.
func (k *kit) find(id tenant.ID) (*actor, bool) {
	for _, a := range k.actors {
		if a.ID == id {
			return a, true
		}
	}
	return nil, false
}
