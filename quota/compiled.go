package quota

import (
	"time"
)

// compiled is a resolved plan, made ready to decide. Tenants of one plan share it.
type compiled struct {
	*Resolved
	zone      *time.Location
	standing  float64  // of its rank among those of all plans: 0 for the lowest, 1 for the highest
	limits    []*limit // by the number of their name; nil for what the plan does not have
	features  []*feature
	values    []any  // of features that are the same for all tenants, by number
	enabled   []bool // whether they are anything but zero
	resources []*resources
}

// limit is a Limit made ready.
type limit struct {
	Limit
	name  string
	rule  *rule  // of Rate; its windows may be none
	terms *Terms // for a store
	max   int64  // of the other kinds, with what grace adds
	warn  int64
}

// feature is a Feature with its name.
type feature struct {
	Feature
	name string
}

// resources is a set of Resources made ready.
type resources struct {
	Resources
	name   string
	limits []patternLimit
}

// patternLimit is the limit of the resources that a pattern fits.
type patternLimit struct {
	pattern string
	index   int // of the limit in compiled.limits
}

// compile makes plan ready. Its names get numbers of names.
func compile(catalog *Catalog, plan *Resolved, zone *time.Location, e *Enforcer) *compiled {
	names, replicas := &e.names, e.replicas
	c := &compiled{Resolved: plan, zone: zone, standing: catalog.standing(plan.Rank)}
	for _, name := range sortedKeys(plan.Limits) {
		put(&c.limits, names.ref(name).index, newLimit(name, plan.Limits[name], zone, replicas))
	}
	for _, name := range sortedKeys(plan.Features) {
		f, index := plan.Features[name], names.ref(name).index
		put(&c.features, index, &feature{f, name})
		put(&c.values, index, f.Value)
		put(&c.enabled, index, f.Value != zeroOf(f.Value))
	}
	for _, name := range sortedKeys(plan.Resources) {
		set := &resources{Resources: plan.Resources[name], name: name}
		for _, pattern := range sortedKeys(set.Limits) {
			own := limitName(name, pattern)
			index := names.ref(own).index
			put(&c.limits, index, newLimit(own, set.Limits[pattern], zone, replicas))
			set.limits = append(set.limits, patternLimit{pattern, index})
		}
		put(&c.resources, names.ref(name).index, set)
	}
	return c
}

// put sets the element of list with an index, which may be beyond its end.
func put[T any](list *[]T, index int, value T) {
	for len(*list) <= index {
		var zero T
		*list = append(*list, zero)
	}
	(*list)[index] = value
}

// at returns the element of list with an index, or the zero value beyond its end.
func at[T any](list []T, index int) T {
	if uint(index) < uint(len(list)) {
		return list[index]
	}
	var zero T
	return zero
}

// newLimit makes l ready for one of so many replicas.
func newLimit(name string, l Limit, zone *time.Location, replicas int64) *limit {
	made := &limit{Limit: l, name: name, rule: &rule{name: name, payment: l.Payment}, max: l.Max, warn: l.Max}
	switch {
	case l.Kind == Rate:
		made.rule = newRule(name, l, zone).remembers()
	case l.Max != Unlimited:
		made.max, made.warn = l.Max+l.grace(l.Max), l.warn(l.Max)
	}
	made.terms = made.newTerms(zone)
	if replicas > 1 {
		made.max = shareOf(made.max, replicas)
		made.rule = made.rule.share(replicas)
	}
	return made
}

// newTerms returns what a store holds counters of l to.
func (l *limit) newTerms(zone *time.Location) *Terms {
	t := &Terms{Kind: l.Kind, Burst: l.Burst, Max: l.max, Zone: zone}
	for _, w := range l.rule.windows {
		public := w.public
		public.Limit = min(w.limit, maxUnits) // which grace may pass
		if public.Roll != Calendar {
			public.Per = public.Per.plain()
		}
		t.Windows = append(t.Windows, public)
	}
	return t
}

// shareOf returns the part of limit that one of so many replicas may let in by itself.
func shareOf(limit, replicas int64) int64 {
	if limit <= 0 {
		return limit // nothing, or Unlimited
	}
	return max(1, limit/replicas)
}

// same reports whether cells of l go on under other.
func (l *limit) same(other *limit) bool {
	return l.Kind == other.Kind && l.Per == other.Per && l.Shadow == other.Shadow && l.Payment == other.Payment && l.rule.same(other.rule)
}
