package pghome

import (
	"fmt"

	"github.com/tenancy-go/tenancy/isolation"
)

// Lint is a query for the names of objects that endanger isolation, and what to
// say about them.
type Lint struct {
	Finding string
	Remedy  string
	Query   string // one column of type text
}

// maxNamed is how many objects a finding names.
const maxNamed = 5

// Report returns an error wrapping isolation.ErrUnsafe that names objects, or nil
// if there are none.
func (l Lint) Report(objects []string) error {
	if len(objects) == 0 {
		return nil
	}
	more := ""
	if n := len(objects) - maxNamed; n > 0 {
		objects, more = objects[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%w: %s: %q%s; %s", isolation.ErrUnsafe, l.Finding, objects, more, l.Remedy)
}
