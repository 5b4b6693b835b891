package inspect

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/tenancy-go/tenancy/internal/plural"
	"github.com/tenancy-go/tenancy/isolation"
)

// Finding is one hole.
type Finding struct {
	Lint     string   `json:"lint"` // the ID of the Lint that found it
	Severity Severity `json:"severity"`
	Object   string   `json:"object"` // what has the hole, quoted as in SQL
	Title    string   `json:"title"`
	Detail   string   `json:"detail,omitempty"` // what it is about this object, may be empty
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy,omitempty"` // SQL; what needs a decision stands in comments
}

// Suppressed is a finding that a host accepts.
type Suppressed struct {
	Finding
	Reason string `json:"reason"`
}

// Report is what Run has found.
type Report struct {
	Database   string        `json:"database"`
	Server     string        `json:"server"`   // version
	Strategy   string        `json:"strategy"` // row, schema or database
	Roles      []string      `json:"roles"`
	Lints      int           `json:"lints"`      // how many were looked for
	Tables     int           `json:"tables"`     // of tenants, which they looked at; in databases of tenants' own they are not counted
	Findings   []Finding     `json:"findings"`   // the worst first
	Suppressed []Suppressed  `json:"suppressed"` // likewise
	Unused     []Suppression `json:"unused"`     // suppressions of what was not found
}

// sort takes in the findings, less those that suppressions accept.
func (r *Report) sort(found []Finding, suppressions []Suppression) {
	used := make([]bool, len(suppressions))
	for _, f := range found {
		reason := ""
		for i, s := range suppressions {
			if s.Lint == f.Lint && (s.Object == "*" || s.Object == f.Object) {
				used[i] = true
				reason = s.Reason
			}
		}
		if reason == "" {
			r.Findings = append(r.Findings, f)
		} else {
			r.Suppressed = append(r.Suppressed, Suppressed{Finding: f, Reason: reason})
		}
	}
	for i, s := range suppressions {
		if !used[i] {
			r.Unused = append(r.Unused, s)
		}
	}
}

// Count returns how many findings are of severity least or above.
func (r *Report) Count(least Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity >= least {
			n++
		}
	}
	return n
}

// Summary tells on one line what was found.
func (r *Report) Summary() string {
	var counts []string
	for s := Critical; s >= Low; s-- {
		if n := r.Count(s) - r.Count(s+1); n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, s))
		}
	}
	text := "no findings"
	if len(counts) > 0 {
		text = strings.Join(counts, ", ")
	}
	if n := len(r.Suppressed); n > 0 {
		text += fmt.Sprintf(", %d suppressed", n)
	}
	if n := len(r.Unused); n > 0 {
		text += ", " + plural.Of(n, "unused suppression")
	}
	looked := ""
	if r.Strategy != databases.String() {
		looked = plural.Of(r.Tables, "tenant table") + ", "
	}
	return fmt.Sprintf("%s: %s (%s isolation, %s%d lints, PostgreSQL %s)", r.Database, text, r.Strategy, looked, r.Lints, r.Server)
}

// Err returns an [*UnsafeError] with the findings of severity least or above, or
// nil if there are none. It is for start-up checks and builds:
//
//	if err := report.Err(inspect.High); err != nil { os.Exit(1) }
func (r *Report) Err(least Severity) error {
	var found []Finding
	for _, f := range r.Findings {
		if f.Severity >= least {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return &UnsafeError{Database: r.Database, Findings: found}
}

// UnsafeError lists why isolation would not hold. It wraps isolation.ErrUnsafe.
type UnsafeError struct {
	Database string
	Findings []Finding // never empty
}

// Error lists all findings, one to a line.
func (e *UnsafeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: database %s: %s:", isolation.ErrUnsafe, e.Database, plural.Of(len(e.Findings), "finding"))
	for _, f := range e.Findings {
		b.WriteString("\n\t" + f.String())
	}
	return b.String()
}

// Unwrap returns isolation.ErrUnsafe.
func (e *UnsafeError) Unwrap() error { return isolation.ErrUnsafe }

// String returns the finding on one line.
func (f Finding) String() string {
	text := fmt.Sprintf("%s %s: %s: %s", f.Severity, f.Lint, f.Object, f.Title)
	if f.Detail != "" {
		text += " (" + f.Detail + ")"
	}
	if f.Remedy != "" {
		text += "; to mend it: " + f.Remedy
	}
	return text
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}
