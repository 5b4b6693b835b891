package quota

import (
	"maps"
	"slices"
	"strings"
)

const maxName = 64

// isName reports whether s may name a plan, limit, feature or set of resources.
func isName(s string) bool {
	if s == "" || len(s) > maxName || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

func badName(at string) error {
	return invalid(at, "want a name of 1 to %d characters: a-z, 0-9, _ and -, with a letter first", maxName)
}

// join returns the path to a field.
func join(path string, names ...string) string {
	for _, name := range names {
		if path != "" {
			path += "."
		}
		if name == "" {
			name = `""`
		}
		path += name
	}
	return path
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
