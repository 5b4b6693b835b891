package leaktest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"github.com/tenancy-go/tenancy/tenant"
)

// actor is a tenant at work.
type actor struct {
	Tenant
	index int

	tables []string // that it can read
	looked snapshot // what was looked at already

	mu      sync.Mutex
	vars    map[string]string // for all scenarios
	session map[string]string // cookies of the login
	owned   map[string]bool   // every value that was ever its own
}

func newActor(index int, t Tenant) *actor {
	a := &actor{Tenant: t, index: index, looked: snapshot{}, vars: map[string]string{"tenant": t.ID.String()}, session: map[string]string{}, owned: map[string]bool{}}
	for name, value := range t.Vars {
		a.set(name, value)
	}
	return a
}

// in returns a context of the tenant, for work beside requests.
func (a *actor) in(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, attributionKey{}, attribution{a.index})
	return tenant.NewContext(ctx, a.Tenant.Tenant)
}

// set sets a variable for all scenarios.
func (a *actor) set(name, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.vars[name] = value
	a.owned[value] = true
}

// own remembers a value that is the tenant's.
func (a *actor) own(value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owned[value] = true
}

func (a *actor) owns(value string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.owned[value]
}

// run is one pass through a scenario as one tenant.
type run struct {
	by       *actor
	scenario *Scenario
	vars     map[string]string
	jar      map[string]string // cookies as they are now
}

// errStep means that a step of the tenant's own was answered otherwise than it should.
var errStep = errors.New("leaktest: the tenant's own request was not answered as it should be")

// begin begins a run, with a session if the scenario wants one.
func (k *kit) begin(ctx context.Context, s *Scenario, by *actor) (*run, error) {
	if s.OwnSession {
		if err := k.login(ctx, by); err != nil {
			return nil, err
		}
	}
	by.mu.Lock()
	r := &run{by: by, scenario: s, vars: maps.Clone(by.vars), jar: map[string]string{}}
	if !s.Anonymous {
		maps.Copy(r.jar, by.session)
	}
	by.mu.Unlock()
	for name, template := range s.Vars {
		value, err := expand(template, "variable", verbatim, k.values(r, s.Name))
		if err != nil {
			return nil, err
		}
		r.set(name, value)
	}
	return r, nil
}

func (r *run) set(name, value string) {
	r.vars[name] = value
	r.by.own(value)
}

// clone returns a run that goes on by itself.
func (r *run) clone() *run {
	c := *r
	c.vars, c.jar = maps.Clone(r.vars), maps.Clone(r.jar)
	return &c
}

// value returns the tenant's own value of a variable or cookie.
func (r *run) value(name string) (string, bool) {
	if v, ok := r.vars[name]; ok {
		return v, true
	}
	for cookie, v := range r.jar {
		if name == cookieVar(cookie) {
			return v, true
		}
	}
	return "", false
}

// values looks up the tenant's own values.
func (k *kit) values(r *run, origin string) lookup {
	return func(name, _ string) (string, error) {
		if name == canaryVar {
			return k.canaries.mint(r.by.index, origin), nil
		}
		if v, ok := r.value(name); ok {
			return v, nil
		}
		return "", fmt.Errorf("leaktest: %s: no variable %q", origin, name)
	}
}

// extra returns the headers beside the step's own.
func (r *run) extra() http.Header {
	h := make(http.Header)
	if !r.scenario.Anonymous {
		maps.Copy(h, r.by.Credentials)
	}
	maps.Copy(h, r.scenario.Header)
	return h
}

// advance performs the next step as the tenant itself, and takes cookies and values out of
// the answer.
func (k *kit) advance(ctx context.Context, r *run, step Step) error {
	origin := r.scenario.Name + ": " + step.String()
	request, err := build(step, r.extra(), r.by.Address, r.jar, k.values(r, origin))
	if err != nil {
		return err
	}
	e := evidence{scenario: r.scenario.Name, step: step.String(), attack: "its own request", by: r.by, request: request}
	a, err := k.exchange(ctx, e)
	if err != nil {
		return err
	}
	if !step.accepts(a.status) {
		return fmt.Errorf("%w: %s as %s: got status %d: %.120s", errStep, origin, r.by.ID, a.status, excerpt(a.body, 0, 80))
	}
	k.coverage.reached(r.scenario.Name, step, r.by.ID)
	k.exercise(r, request)
	return r.absorb(step, a)
}

func (r *run) absorb(step Step, a answer) error {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.MaxAge < 0 || c.Value == "" {
			delete(r.jar, c.Name)
			continue
		}
		r.jar[c.Name] = c.Value
		r.by.own(c.Value)
	}
	for name, extract := range step.Extract {
		value, err := extract(a.response())
		if err != nil {
			return fmt.Errorf("%w: %s as %s: taking %s: %w", errStep, step, r.by.ID, name, err)
		}
		r.set(name, value)
	}
	return nil
}

// upTo runs a scenario up to its step n, which is not performed.
func (k *kit) upTo(ctx context.Context, s *Scenario, n int, by *actor) (*run, error) {
	r, err := k.begin(ctx, s, by)
	if err != nil {
		return nil, err
	}
	for _, step := range s.Steps[:n] {
		if err := k.advance(ctx, r, step); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// login establishes the tenant's session.
func (k *kit) login(ctx context.Context, by *actor) error {
	r := &run{by: by, scenario: &Scenario{Name: "login"}, vars: maps.Clone(by.vars), jar: map[string]string{}}
	for _, step := range k.app.Login {
		if err := k.advance(ctx, r, step); err != nil {
			return err
		}
		for name := range step.Extract {
			by.set(name, r.vars[name])
		}
	}
	by.mu.Lock()
	defer by.mu.Unlock()
	by.session = r.jar
	return nil
}
