// Package plural puts numbers into messages.
package plural

import "strconv"

// Of returns n with its noun: 1 finding, 2 findings.
func Of(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
