package leaktest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tenancy-go/tenancy/tenant"
)

// Coverage is how much a run looked at.
type Coverage struct {
	Steps  []StepCoverage
	Values []ValueCoverage
	Routes []string // of [Application.Routes], that no tenant reached

	Requests     int64          // sent
	Looked       int64          // bodies, headers, tables, log records, entries and outputs
	Rows         int64          // read
	Logged       int64          // log records
	Unattributed int64          // log records that nobody can be held to
	Guarded      int64          // attacks after which the victim's rows were compared
	Panics       int64          // requests in which the handler panicked
	Slow         int64          // requests that took longer than the timeout
	Jobs         map[string]int // runs, by name
	Stores       map[string]int // entries, by name
}

// StepCoverage is what was done with a step.
type StepCoverage struct {
	Scenario, Step string
	Tenants        int // whose own requests were answered as they should be
	Attacks        int
	Comparisons    int // with unknown values
	Partial        int // comparisons that could not include the body
	Storm          int // own requests answered among many at once
}

// ValueCoverage is how often another tenant's value was tried at a place of a request.
type ValueCoverage struct {
	Name, Place string
	Tried       int
	Alike       int // not tried, since both tenants have the same value
}

// coverage counts while the kit runs.
type coverage struct {
	requests, looked, rows, logged, unattributed, guarded, panics, slow atomic.Int64

	mu      sync.Mutex
	steps   []*stepCount
	byStep  map[[2]string]*stepCount
	slots   map[slot]*ValueCoverage
	own     map[tenant.ID]map[string]int // own canaries seen: in "answers", "rows" or others
	jobs    map[string]int
	outputs map[string]int
	stores  map[string]int
	routes  map[string]bool
}

type stepCount struct {
	StepCoverage
	tenants map[tenant.ID]bool
	failed  int // in the storm
}

func newCoverage() *coverage {
	return &coverage{
		byStep: make(map[[2]string]*stepCount), slots: make(map[slot]*ValueCoverage), own: make(map[tenant.ID]map[string]int),
		jobs: make(map[string]int), outputs: make(map[string]int), stores: make(map[string]int), routes: make(map[string]bool),
	}
}

// count changes what is counted of a step.
func (c *coverage) count(scenario string, step Step, f func(*stepCount)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{scenario, step.String()}
	s := c.byStep[key]
	if s == nil {
		s = &stepCount{StepCoverage: StepCoverage{Scenario: scenario, Step: step.String()}, tenants: make(map[tenant.ID]bool)}
		c.byStep[key] = s
		c.steps = append(c.steps, s)
	}
	f(s)
}

func (c *coverage) reached(scenario string, step Step, id tenant.ID) {
	c.count(scenario, step, func(s *stepCount) { s.tenants[id] = true })
}

func (c *coverage) attacked(scenario string, step Step) {
	c.count(scenario, step, func(s *stepCount) { s.Attacks++ })
}

func (c *coverage) stormed(scenario string, step Step) {
	c.count(scenario, step, func(s *stepCount) { s.Storm++ })
}

func (c *coverage) stormFailed(scenario string, step Step) {
	c.count(scenario, step, func(s *stepCount) { s.failed++ })
}

func (c *coverage) compared(scenario string, step Step, whole bool) {
	c.count(scenario, step, func(s *stepCount) {
		s.Comparisons++
		if !whole {
			s.Partial++
		}
	})
}

func (c *coverage) slot(s slot, f func(*ValueCoverage)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.slots[s]
	if v == nil {
		v = &ValueCoverage{Name: s.name, Place: s.place}
		c.slots[s] = v
	}
	f(v)
}

func (c *coverage) tried(s slot) { c.slot(s, func(v *ValueCoverage) { v.Tried++ }) }
func (c *coverage) alike(s slot) { c.slot(s, func(v *ValueCoverage) { v.Alike++ }) }

func (c *coverage) sawOwn(id tenant.ID, where string) {
	kind := "others"
	switch {
	case strings.HasPrefix(where, "row of "):
		kind = "rows"
	case where == "body of the answer", strings.HasPrefix(where, "header "):
		kind = "answers"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own[id] == nil {
		c.own[id] = make(map[string]int)
	}
	c.own[id][kind]++
}

func (c *coverage) ranJob(name string) { c.add(c.jobs, name) }
func (c *coverage) putOut(name string) { c.add(c.outputs, name) }
func (c *coverage) stored(name string) { c.add(c.stores, name) }

func (c *coverage) add(to map[string]int, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	to[name]++
}

// exercise remembers the routes that a tenant's own request reached.
func (k *kit) exercise(r *run, request Request) {
	if len(k.app.Routes) == 0 {
		return
	}
	request.Target = strings.TrimPrefix(request.Target, r.by.Base)
	req, err := request.toHTTP(context.Background())
	if err != nil {
		return
	}
	_, pattern := k.routes.Handler(req)
	k.coverage.mu.Lock()
	defer k.coverage.mu.Unlock()
	k.coverage.routes[pattern] = true
}

// routeTable returns a mux of the routes that have to be exercised.
func routeTable(patterns []string) (mux *http.ServeMux, err error) {
	defer func() {
		if v := recover(); v != nil { // what a mux says of patterns that it cannot take
			err = fmt.Errorf("a pattern of Routes: %v", v)
		}
	}()
	mux = http.NewServeMux()
	for _, pattern := range patterns {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	return mux, nil
}

// judge turns what was not reached into problems.
func (k *kit) judge() {
	c := k.coverage
	for _, t := range k.actors {
		seen := c.own[t.ID]
		if seen["answers"] == 0 {
			k.problem("no answer to %s had a canary of its own, so none would have been noticed in another's: use {{canary}} where users type", t.ID)
		}
		if k.app.DB != nil && seen["rows"] == 0 {
			k.problem("no row that %s sees has a canary of its own: is DB the one that Handler uses?", t.ID)
		}
	}
	for _, s := range c.steps {
		if s.Scenario != "login" && s.Storm == 0 && s.failed > 0 {
			k.problem("%s: %s was never answered among many requests at once", s.Scenario, s.Step)
		}
	}
	tried := 0
	for _, v := range c.slots {
		tried += v.Tried
	}
	if tried == 0 {
		k.problem("no value of another tenant was tried: extract IDs from answers and use them in later steps")
	}
	if c.logged.Load() == 0 && k.logsGiven {
		k.problem("nothing was logged: does the application log to Logs?")
	}
	for _, s := range k.app.Stores {
		if c.stores[s.Name] == 0 {
			k.problem("store %s never had an entry", s.Name)
		}
	}
	for _, route := range k.unexercised() {
		k.problem("route %s was never reached: no step is for it", route)
	}
	if n := c.slow.Load(); n > 0 {
		k.problem("%d requests took longer than %s", n, k.app.Timeout)
	}
}

func (k *kit) unexercised() []string {
	var missing []string
	for _, route := range k.app.Routes {
		if !k.coverage.routes[route] {
			missing = append(missing, route)
		}
	}
	return missing
}

func (k *kit) summary() Coverage {
	c := k.coverage
	s := Coverage{
		Routes: k.unexercised(), Requests: c.requests.Load(), Looked: c.looked.Load(), Rows: c.rows.Load(), Logged: c.logged.Load(),
		Unattributed: c.unattributed.Load(), Guarded: c.guarded.Load(), Panics: c.panics.Load(), Slow: c.slow.Load(),
		Jobs: maps.Clone(c.jobs), Stores: maps.Clone(c.stores),
	}
	for _, step := range c.steps {
		step.Tenants = len(step.tenants)
		s.Steps = append(s.Steps, step.StepCoverage)
	}
	for _, v := range c.slots {
		s.Values = append(s.Values, *v)
	}
	slices.SortFunc(s.Values, func(a, b ValueCoverage) int {
		return strings.Compare(a.Name+"\x00"+a.Place, b.Name+"\x00"+b.Place)
	})
	return s
}

// String returns the figures as tables.
func (c Coverage) String() string {
	var b strings.Builder
	b.WriteString("COVERAGE\n")
	fmt.Fprintf(&b, "  %-52s %8s %8s %8s %8s\n", "step", "tenants", "attacks", "compared", "storm")
	scenario := ""
	for _, s := range c.Steps {
		if s.Scenario != scenario {
			scenario = s.Scenario
			fmt.Fprintf(&b, "  %s\n", scenario)
		}
		compared := fmt.Sprint(s.Comparisons)
		if s.Partial > 0 {
			compared += "*"
		}
		fmt.Fprintf(&b, "    %-50s %8d %8d %8s %8d\n", s.Step, s.Tenants, s.Attacks, compared, s.Storm)
	}
	if slices.ContainsFunc(c.Steps, func(s StepCoverage) bool { return s.Partial > 0 }) {
		b.WriteString("  * bodies that vary too much to be compared: say what is Volatile\n")
	}
	b.WriteString("  values of others tried\n")
	for _, v := range c.Values {
		fmt.Fprintf(&b, "    %-50s %8d", v.Name+" in "+v.Place, v.Tried)
		if v.Alike > 0 {
			fmt.Fprintf(&b, "   (%d times both tenants had the same)", v.Alike)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "  %d requests, %d rows, %d log records (%d of nobody's), %d attacks with rows compared\n",
		c.Requests, c.Rows, c.Logged, c.Unattributed, c.Guarded)
	counts(&b, "runs of job", c.Jobs)
	counts(&b, "entries of store", c.Stores)
	if c.Panics > 0 {
		fmt.Fprintf(&b, "  %d requests in which the handler panicked\n", c.Panics)
	}
	for _, route := range c.Routes {
		fmt.Fprintf(&b, "  never reached: %s\n", route)
	}
	return b.String()
}

func counts(b *strings.Builder, what string, of map[string]int) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(b, "  %d %s %s\n", of[name], what, name)
	}
}
