package quota

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// fields are the header fields that tell a client what is left.
type fields struct {
	standard bool // RateLimit and RateLimit-Policy
	legacy   bool // the X-RateLimit trio
}

// WithFields says which header fields responses get. The standard ones, on by
// default, are RateLimit-Policy, all windows of the limits that count the request, and
// RateLimit, the one with the least left, as draft-ietf-httpapi-ratelimit-headers-10
// has them:
//
//	RateLimit-Policy: "requests-minute";q=300;w=60, "requests-day";q=100000;w=86400
//	RateLimit: "requests-minute";r=299;t=42
//
// The legacy ones, off by default, are X-RateLimit-Limit, X-RateLimit-Remaining and
// X-RateLimit-Reset (seconds since 1970) of that one. When a soft limit is passed,
// Quota-Warning names the limits.
func WithFields(standard, legacy bool) GateOption {
	return func(c *gateConfig) { c.fields = fields{standard: standard, legacy: legacy} }
}

// write sets the fields for a request that d decided, with what it was granted.
func (f fields) write(h http.Header, a *Account, g *Grant, claims []Claim, d Decision) {
	if !f.standard && !f.legacy {
		return
	}
	var few [4]*rule
	now := a.e.clk.exact()
	var rules []*rule
	var warnings []string
	var least left
	if a.e.shared == nil {
		rules, warnings, least = a.left(few[:0], claims)
	} else {
		rules, warnings, least = sharedLeft(few[:0], g, d, now)
	}
	if len(rules) == 0 {
		return
	}
	if !d.OK && d.rule == least.rule && d.amount > 0 {
		least.reset = now + d.amount // when there is room for this one: what Retry-After says
	}
	if f.standard {
		h["Ratelimit-Policy"] = policies(rules)
		h["Ratelimit"] = []string{least.item(now)}
	}
	if f.legacy {
		h["X-Ratelimit-Limit"] = []string{strconv.FormatInt(least.window.public.Limit, 10)}
		h["X-Ratelimit-Remaining"] = []string{strconv.FormatInt(least.units, 10)}
		h["X-Ratelimit-Reset"] = []string{strconv.FormatInt(seconds(time.Duration(least.reset)), 10)}
	}
	if len(warnings) > 0 {
		h["Quota-Warning"] = []string{strings.Join(warnings, ", ")}
	}
}

// left returns what is left of the limits of claims: their rules, which are added to
// rules, the names of those whose soft limit is passed, and the window with the least
// left.
func (a *Account) left(rules []*rule, claims []Claim) ([]*rule, []string, left) {
	var warnings []string
	s, least := a.state.Load(), left{share: 2}
	for _, c := range claims {
		e := s.entry(c.Limit)
		if !e.counts() || e.limit.Per == PerKey {
			continue
		}
		r := e.under.rule
		closest, warned := r.closest(e.cell, a.e.clk)
		if closest.share < least.share || least.rule == nil {
			least = closest
		}
		if warned {
			warnings = append(warnings, r.name)
		}
		rules = append(rules, r)
	}
	return rules, warnings, least
}

// sharedLeft is left by what the store said to g, or by its refusal d. The store says
// how many units are left in the closest window, and when the shortest begins anew.
func sharedLeft(rules []*rule, g *Grant, d Decision, now int64) ([]*rule, []string, left) {
	if !d.OK {
		if i := int(d.code >> windowShift); d.rule != nil && i < len(d.rule.windows) {
			return append(rules, d.rule), nil, left{rule: d.rule, window: &d.rule.windows[i], reset: now + d.amount}
		}
		return rules, nil, left{}
	}
	var warnings []string
	least := left{share: 2}
	for i := range g.parts {
		p := &g.parts[i]
		if p.limit.Kind != Rate || p.limit.Per == PerKey || len(p.limit.rule.windows) == 0 || p.alone {
			continue
		}
		w := &p.limit.rule.windows[0]
		if share := float64(p.left) / float64(max(1, w.public.Limit)); share < least.share {
			least = left{rule: p.limit.rule, window: w, units: p.left, reset: now + p.edge, share: share}
		}
		if p.soft.Load() != 0 {
			warnings = append(warnings, p.limit.name)
		}
		rules = append(rules, p.limit.rule)
	}
	return rules, warnings, least
}

// policies returns the RateLimit-Policy field of rules.
func policies(rules []*rule) []string {
	if len(rules) == 1 {
		return rules[0].policy
	}
	all := make([]string, len(rules))
	for i, r := range rules {
		all[i] = r.policy[0]
	}
	return []string{strings.Join(all, ", ")}
}

// item returns the RateLimit field of a window: what is left, and the seconds until
// there is more.
func (l left) item(now int64) string {
	buffer := make([]byte, 0, 64)
	buffer = append(buffer, '"')
	buffer = append(buffer, l.rule.name...)
	buffer = append(buffer, '-')
	buffer = append(buffer, l.window.public.Per...)
	buffer = append(buffer, `";r=`...)
	buffer = strconv.AppendInt(buffer, l.units, 10)
	buffer = append(buffer, ";t="...)
	buffer = strconv.AppendInt(buffer, seconds(time.Duration(l.reset-now)), 10)
	return string(buffer)
}

// setPolicy writes down the windows of r for RateLimit-Policy.
func (r *rule) setPolicy() {
	items := make([]string, r.active)
	for i, w := range r.windows[:r.active] {
		items[i] = `"` + r.policyName(i) + `";q=` + strconv.FormatInt(w.public.Limit, 10) +
			";w=" + strconv.FormatInt(seconds(w.public.Per.nominal()), 10)
	}
	r.policy = []string{strings.Join(items, ", ")}
}

// policyName returns what clients know a window as.
func (r *rule) policyName(i int) string { return r.name + "-" + string(r.windows[i].public.Per) }

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
