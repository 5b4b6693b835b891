package quota

import (
	"fmt"
	"slices"
	"strings"
)

// Resources says which of a set of named things, such as models, a tenant may use.
// In patterns * stands for any text, also none. Names are compared as they are:
// hosts that take them from clients bring them into one form before.
type Resources struct {
	Allow  []string         // patterns; nothing is allowed without one
	Deny   []string         // patterns that win over Allow
	Limits map[string]Limit // by pattern, of kind Rate; each that fits applies. All that a pattern fits share its limit
}

const maxPattern = 200

func (r Resources) validate(at, name string) error {
	if !isName(name) {
		return badName(at)
	}
	for field, patterns := range map[string][]string{"allow": r.Allow, "deny": r.Deny, "limits": sortedKeys(r.Limits)} {
		for _, pattern := range patterns {
			if pattern == "" || len(pattern) > maxPattern {
				return invalid(join(at, field), "want patterns of 1 to %d bytes", maxPattern)
			}
		}
	}
	for _, pattern := range sortedKeys(r.Limits) {
		limit, field := r.Limits[pattern], join(at, "limits", pattern)
		if limit.Kind != Rate || limit.Per != PerTenant {
			return invalid(field, "want a limit of kind rate, per tenant")
		}
		if err := limit.validate(field, "limit"); err != nil {
			return err
		}
	}
	return nil
}

// Allows reports whether the set has the resource called name.
func (r Resources) Allows(name string) bool {
	fits := func(pattern string) bool { return match(pattern, name) }
	return name != "" && slices.ContainsFunc(r.Allow, fits) && !slices.ContainsFunc(r.Deny, fits)
}

// match reports whether pattern fits the whole of name. It takes time in proportion
// to the lengths of both.
func match(pattern, name string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	if !strings.HasPrefix(name, head) {
		return false
	}
	name = name[len(head):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name, rest = name[i+len(part):], next
	}
}

// limitName is what decisions call the limit of a pattern in a set.
func limitName(set, pattern string) string { return fmt.Sprintf("%s/%s", set, pattern) }
