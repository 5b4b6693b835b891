package leaktest

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// compareAll checks, for each value that the step uses, that the answer to the victim's is
// the one to a value that nobody has.
func (k *kit) compareAll(ctx context.Context, s *Scenario, n int, by, victim *actor) error {
	p, err := k.prepare(ctx, s, n, by, victim)
	if err != nil {
		return err
	}
	slots, err := k.slots(p, s.Steps[n])
	if err != nil {
		return err
	}
	var done []string
	for _, slot := range slots {
		if slices.Contains(done, slot.name) || k.app.Variables[slot.name].Opaque {
			continue
		}
		done = append(done, slot.name)
		if err := k.compare(ctx, s, n, p, slot.name); err != nil {
			return err
		}
	}
	return nil
}

// compare asks for the victim's value of a variable and, before and after, for unknown
// ones. What differs between those two differs each time. If the step writes, the victim has done
// it or not: a name is taken once it was used, and an ID is there until it was deleted.
func (k *kit) compare(ctx context.Context, s *Scenario, n int, p pair, name string) error {
	if known, _ := p.foreign.value(name); p.own.by.owns(known) {
		k.coverage.alike(slot{name, "comparison"})
		return nil
	}
	if s.Steps[n].reads() {
		return k.compareWith(ctx, s, n, name, func() (pair, error) { return p, nil })
	}
	for done := range 2 {
		err := k.compareWith(ctx, s, n, name, func() (pair, error) {
			foreign, err := k.upTo(ctx, s, n+done, p.foreign.by)
			if err != nil {
				return pair{}, err
			}
			own, err := k.upTo(ctx, s, n, p.own.by)
			return pair{own, foreign}, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (k *kit) compareWith(ctx context.Context, s *Scenario, n int, name string, prepare func() (pair, error)) error {
	step := s.Steps[n]
	var answers [3]canonical
	var found evidence
	for i, unknown := range []bool{true, false, true} {
		p, err := prepare()
		if err != nil {
			return err
		}
		value, _ := p.foreign.value(name)
		if unknown {
			value = k.unknown(name, value)
		}
		r, err := k.with(p, step, name, value)
		if err != nil {
			return err
		}
		e := p.evidence(step, attack{name: fmt.Sprintf("%s of %s's, compared with an unknown one", name, p.foreign.by.ID)}, r)
		a, err := k.exchange(ctx, e)
		if err != nil {
			return err
		}
		if answers[i] = k.canonical(p, a, value); !unknown {
			found = e
		}
	}
	difference, comparable := answers[1].differs(answers[0], answers[2])
	k.coverage.compared(s.Name, step, comparable)
	if difference != "" {
		k.report(Finding{Kind: Oracle, Where: "answer to " + name, Owner: found.victim.ID, Detail: difference}, found)
	}
	return nil
}

// with builds the step's request with own values but one.
func (k *kit) with(p pair, step Step, name, value string) (Request, error) {
	own := k.values(p.own, p.own.scenario.Name+": "+step.String())
	return build(step, p.own.extra(), p.own.by.Address, p.own.jar, func(asked, place string) (string, error) {
		if asked == name {
			return value, nil
		}
		return own(asked, place)
	})
}

// unknown returns a value like one that is known, which nobody has.
func (k *kit) unknown(name, known string) string {
	if f := k.app.Variables[name].Unknown; f != nil {
		return f(known)
	}
	return madeUp(known)
}

// madeUp changes the last letters and digits of a value, up to 12 of them, into others of
// the same kind. Short numbers become large ones.
func madeUp(known string) string {
	const most = 12
	if len(known) < 9 && strings.Trim(known, "0123456789") == "" {
		return "9" + digits(8)
	}
	b := []byte(known)
	fresh := strings.ToLower(rand.Text())
	hexadecimal := strings.Trim(strings.ToLower(known), "0123456789abcdef-") == ""
	changed := 0
	for i := len(b) - 1; i >= 0 && changed < most; i-- {
		random := fresh[changed] // a to z and 2 to 7
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			b[i] = '0' + random%10
		case hexadecimal && (c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'):
			b[i] = c - (c-'A')%32%6 + random%6
		case c >= 'a' && c <= 'z':
			b[i] = 'a' + random%26
		case c >= 'A' && c <= 'Z':
			b[i] = 'A' + random%26
		default:
			continue
		}
		changed++
	}
	return string(b)
}

func digits(n int) string {
	var b strings.Builder
	for _, c := range rand.Text()[:n] {
		b.WriteByte('0' + byte(c)%10)
	}
	return b.String()
}

// canonical is an answer without what has to differ.
type canonical struct {
	status int
	header map[string][]string // words
	body   []string            // words
}

// variesAlways are headers that say nothing of what was found.
var variesAlways = []string{"Date", "Content-Length", "X-Request-Id", "X-Correlation-Id", "Traceparent", "Server-Timing"}

var words = regexp.MustCompile(`[A-Za-z0-9_-]+|[^A-Za-z0-9_-]+`)

func (k *kit) canonical(p pair, a answer, value string) canonical {
	clean := func(s string) []string { return words.FindAllString(k.clean(p, s, value), -1) }
	c := canonical{status: a.status, header: make(map[string][]string), body: clean(string(a.body))}
	for name, values := range a.header {
		if !slices.Contains(variesAlways, http.CanonicalHeaderKey(name)) {
			c.header[name] = clean(strings.Join(values, "\n"))
		}
	}
	return c
}

// clean takes the value, however it is escaped, the tenant's canaries and what the host
// declared out of a text.
func (k *kit) clean(p pair, text, value string) string {
	for _, form := range []string{value, url.PathEscape(value), url.QueryEscape(value), html.EscapeString(value), inJSON(value)} {
		text = strings.ReplaceAll(text, form, "_value_")
	}
	for _, tenant := range []*run{p.own, p.foreign} {
		text = k.canaryPatterns[tenant.by.index].ReplaceAllString(text, "_canary_")
	}
	for _, pattern := range k.app.Volatile {
		text = pattern.ReplaceAllString(text, "")
	}
	return text
}

// differs says how an answer differs from those to two unknown values, or "", and whether all of it
// could be compared.
func (c canonical) differs(one, two canonical) (difference string, comparable bool) {
	if c.status != one.status && c.status != two.status {
		return fmt.Sprintf("status %d, but %d for an unknown one", c.status, one.status), true
	}
	if one.status != two.status {
		return "", false
	}
	for name := range one.header {
		if _, has := c.header[name]; !has && two.header[name] != nil {
			return fmt.Sprintf("no header %s, which the answer for an unknown one has", name), true
		}
	}
	for name := range c.header {
		h1, has1 := one.header[name]
		h2, has2 := two.header[name]
		switch {
		case !has1 && !has2:
			return fmt.Sprintf("header %s, which the answer for an unknown one has not", name), true
		case has1 && has2:
			if d, _ := differ(c.header[name], h1, h2); d != "" {
				return "header " + name + ": " + d, true
			}
		}
	}
	difference, comparable = differ(c.body, one.body, two.body)
	if difference != "" {
		difference = "body: " + difference
	}
	return difference, comparable
}

// differ compares words. Where the two that should be alike differ, anything may stand.
func differ(got, one, two []string) (difference string, comparable bool) {
	if len(one) != len(two) {
		return "", false
	}
	if len(got) != len(one) {
		return fmt.Sprintf("%q, but %q for an unknown one", around(got, 0), around(one, 0)), true
	}
	for i := range one {
		if one[i] == two[i] && got[i] != one[i] {
			return fmt.Sprintf("%q, but %q for an unknown one", around(got, i), around(one, i)), true
		}
	}
	return "", true
}

func around(words []string, i int) string {
	text := strings.Join(words[max(0, i-6):min(len(words), i+30)], "")
	return text[:min(len(text), 120)]
}
