package leaktest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tenancy-go/tenancy/internal/plural"
	"github.com/tenancy-go/tenancy/tenant"
)

// The classes of what [Report.Err] returns.
var (
	// ErrLeak means that something of one tenant reached another.
	ErrLeak = errors.New("leaktest: leak")
	// ErrUnproven means that too little was reached to say that there is no leak.
	ErrUnproven = errors.New("leaktest: unproven")
)

// Kind is what a finding is.
type Kind string

// The kinds.
const (
	Leak   Kind = "LEAK"   // a canary reached another tenant
	Write  Kind = "WRITE"  // another tenant changed something
	Oracle Kind = "ORACLE" // an answer tells whether another tenant has a value
)

// Finding is something that one tenant learned or did of another's.
type Finding struct {
	Kind   Kind
	Owner  tenant.ID // whose it is
	Reader tenant.ID // who got it, or did it
	Where  string    // "body of the answer", "header Location", "row of notes", "log"

	Canary  string // of a Leak
	Planted string // what planted the canary
	Form    string // how the canary was written, such as "gzip" or "base64"; "" is plainly
	Excerpt string // what is around the canary
	Detail  string // of a Write or Oracle: what was seen

	Scenario, Step string
	Attack         string   // in words
	Request        Request  // empty if it was none
	Count          int      // how many times the like was found: same step, same place
	Others         []string // further attacks that found it
}

// like returns what findings that are told once have in common.
func (f Finding) like() string {
	return strings.Join([]string{string(f.Kind), f.Scenario, f.Step, f.Where}, "\x00")
}

// String returns the finding as lines of text.
func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-6s %s, %s: %s", f.Kind, f.Scenario, f.Step, f.Where)
	if f.Count > 1 {
		fmt.Fprintf(&b, " (%d times)", f.Count)
	}
	switch f.Kind {
	case Leak:
		fmt.Fprintf(&b, "\n       %s of %s's reached %s%s", f.Canary, f.Owner, f.Reader, inForm(f.Form))
		if f.Planted != "" {
			fmt.Fprintf(&b, "; it was planted by %s", f.Planted)
		}
		fmt.Fprintf(&b, "\n       excerpt  …%s…", f.Excerpt)
	case Write:
		fmt.Fprintf(&b, "\n       %s changed what is %s's", f.Reader, f.Owner)
	case Oracle:
		fmt.Fprintf(&b, "\n       %s can tell that %s has it", f.Reader, f.Owner)
	}
	if f.Detail != "" {
		fmt.Fprintf(&b, ": %s", f.Detail)
	}
	fmt.Fprintf(&b, "\n       attack   %s", f.Attack)
	for _, other := range f.Others {
		fmt.Fprintf(&b, "\n                %s", other)
	}
	if f.Request.Method != "" {
		fmt.Fprintf(&b, "\n       again    %s", f.Request.Curl())
	}
	return b.String()
}

func inForm(form string) string {
	if form == "" {
		return ""
	}
	return " (" + form + ")"
}

// Report is what was found, and how much was looked at.
type Report struct {
	Findings []Finding
	Problems []string // why the run proves less than it should
	Coverage Coverage
}

// Err returns nil if nothing was found and enough was reached; else an error wrapping [ErrLeak] or
// [ErrUnproven].
func (r Report) Err() error {
	var errs []error
	if n := len(r.Findings); n > 0 {
		errs = append(errs, fmt.Errorf("%w: %s", ErrLeak, plural.Of(n, "finding")))
	}
	if n := len(r.Problems); n > 0 {
		errs = append(errs, fmt.Errorf("%w: %d problems, first: %s", ErrUnproven, n, r.Problems[0]))
	}
	return errors.Join(errs...)
}

// String returns the report as text.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s\n", plural.Of(len(r.Findings), "finding"), plural.Of(len(r.Problems), "problem"))
	for _, f := range r.Findings {
		b.WriteString("\n" + f.String() + "\n")
	}
	if len(r.Problems) > 0 {
		b.WriteString("\nPROBLEMS, for which this run proves less than it should\n")
		for _, p := range r.Problems {
			b.WriteString("  - " + p + "\n")
		}
	}
	b.WriteString("\n" + r.Coverage.String())
	return b.String()
}

// maxOthers is how many further attacks of a finding are worth reading.
const maxOthers = 4

// collection gathers findings, those that are alike once.
type collection struct {
	mu       sync.Mutex
	findings []*Finding
	byLike   map[string]*Finding
	problems []string
}

func newCollection() *collection { return &collection{byLike: make(map[string]*Finding)} }

func (c *collection) add(f Finding) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.byLike[f.like()]
	if known == nil {
		f.Count = 1
		c.byLike[f.like()] = &f
		c.findings = append(c.findings, &f)
		return
	}
	known.Count++
	if f.Attack != known.Attack && !slices.Contains(known.Others, f.Attack) && len(known.Others) < maxOthers {
		known.Others = append(known.Others, f.Attack)
	}
}

func (c *collection) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.problems, text) {
		c.problems = append(c.problems, text)
	}
}

// all returns the findings, leaks first, in the order in which they were found.
func (c *collection) all() ([]Finding, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rank := []Kind{Leak, Write, Oracle}
	findings := make([]Finding, 0, len(c.findings))
	for _, f := range c.findings {
		findings = append(findings, *f)
	}
	slices.SortStableFunc(findings, func(a, b Finding) int { return slices.Index(rank, a.Kind) - slices.Index(rank, b.Kind) })
	return findings, slices.Clone(c.problems)
}
