package row

import (
	"fmt"
	"strings"

	"github.com/tenancy-go/tenancy/internal/plural"
	"github.com/tenancy-go/tenancy/isolation"
)

// Finding is one hole in a database's isolation.
type Finding struct {
	Object  string // what has the hole, such as a table or a role, quoted as in SQL
	Problem string
	Remedy  string // SQL, or what to do
}

// String returns the finding on one line.
func (f Finding) String() string {
	if f.Remedy == "" {
		return f.Object + ": " + f.Problem
	}
	return f.Object + ": " + f.Problem + "; to mend it: " + f.Remedy
}

// UnsafeError lists why isolation would not hold. It wraps isolation.ErrUnsafe.
type UnsafeError struct {
	Findings []Finding // never empty
}

// Error lists all findings, one to a line.
func (e *UnsafeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %s:", isolation.ErrUnsafe, plural.Of(len(e.Findings), "finding"))
	for _, f := range e.Findings {
		b.WriteString("\n\t" + f.String())
	}
	return b.String()
}

// Unwrap returns isolation.ErrUnsafe.
func (e *UnsafeError) Unwrap() error { return isolation.ErrUnsafe }

// unsafeUnlessNone returns an *UnsafeError, or nil if there are no findings.
func unsafeUnlessNone(findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	return &UnsafeError{Findings: findings}
}
