package inspect

import (
	"regexp"
	"strings"
)

// binding is what the condition of a policy does about the tenant.
type binding int

const (
	unbound   binding = iota // it says nothing that holds tenants apart
	failsOpen                // it does, and then makes an exception
	bound                    // only rows of one tenant pass
)

// bind reads a condition as pg_get_expr writes it, which puts every operand of
// AND, OR and NOT into parentheses. column is the tenant column, quoted if need
// be. What it does not understand is unbound.
func bind(condition, column string) binding {
	return binder{column: column}.bind(qualified.ReplaceAllString(condition, "="), maxDepth)
}

// qualified matches the = of a type that an extension brought, such as citext.
var qualified = regexp.MustCompile(`OPERATOR\([a-z0-9_]+\.=\)`)

// maxDepth bounds how deeply nested a condition is read.
const maxDepth = 100

type binder struct{ column string }

func (b binder) bind(text string, depth int) binding {
	text = unwrap(text)
	if depth == 0 {
		return unbound
	}
	if parts := split(text, "AND"); len(parts) > 1 {
		return b.all(parts, depth)
	}
	if parts := split(text, "OR"); len(parts) > 1 {
		return b.any(parts, depth)
	}
	return b.atom(text)
}

// all is a conjunction: one operand that binds is enough.
func (b binder) all(parts []string, depth int) binding {
	best := unbound
	for _, part := range parts {
		best = max(best, b.bind(part, depth-1))
	}
	return best
}

// any is a disjunction: every operand has to bind.
func (b binder) any(parts []string, depth int) binding {
	binds, exceptions := false, false
	for _, part := range parts {
		switch b.bind(part, depth-1) {
		case bound:
			binds = true
		case failsOpen:
			binds, exceptions = true, true
		default:
			exceptions = true
		}
	}
	switch {
	case binds && exceptions:
		return failsOpen
	case binds:
		return bound
	default:
		return unbound
	}
}

// atom is one comparison. It binds if it equates the column with something that
// depends on the session and not on the row.
func (b binder) atom(text string) binding {
	left, right, ok := equation(text)
	if !ok {
		return unbound
	}
	if !b.isColumn(left) {
		left, right = right, left
	}
	switch {
	case !b.isColumn(left):
		return unbound
	case b.mentions(right) && !membership(right): // tenant_id = coalesce(…, tenant_id)
		return failsOpen
	case !varies.MatchString(modifier.ReplaceAllString(blank(right), "")):
		return unbound // one constant tenant
	default:
		return bound
	}
}

// varies matches what can differ between sessions: calls and the user.
var varies = regexp.MustCompile(`(?i)[a-z0-9_"]\(|\b(current_user|session_user|current_role|user)\b`)

// modifier matches the length in a cast such as ::character varying(20).
var modifier = regexp.MustCompile(`::[a-z ]+\([0-9, ]+\)`)

// membership reports whether text looks the tenant up in a table, whose own
// column may have the same name.
func membership(text string) bool {
	text = unwrap(text)
	return strings.HasPrefix(text, "SELECT ") && top(text, " FROM ") >= 0
}

// equation splits an atom at = or IN.
func equation(text string) (left, right string, ok bool) {
	for _, word := range []string{"=", "IN"} {
		if parts := split(text, word); len(parts) == 2 {
			return parts[0], parts[1], true
		}
	}
	return "", "", false
}

// isColumn reports whether text is the tenant column: with its table, a cast and
// parentheses, or without.
func (b binder) isColumn(text string) bool {
	text = unwrap(text)
	if i := top(text, "::"); i >= 0 {
		text = unwrap(text[:i])
	}
	return text == b.column || strings.HasSuffix(text, "."+b.column) && top(text, " ") < 0
}

// mentions reports whether the column's name is anywhere in text but in a string.
func (b binder) mentions(text string) bool {
	text = literal.ReplaceAllString(text, "''")
	for i := strings.Index(text, b.column); i >= 0; {
		end := i + len(b.column)
		if (i == 0 || !inName(text[i-1])) && (end == len(text) || !inName(text[end])) {
			return true
		}
		next := strings.Index(text[end:], b.column)
		if next < 0 {
			return false
		}
		i = end + next
	}
	return false
}

var literal = regexp.MustCompile(`'(?:[^']|'')*'`)

// blank empties strings and quoted names, which may hold anything.
func blank(text string) string {
	return quoted.ReplaceAllString(literal.ReplaceAllString(text, "''"), `""`)
}

var quoted = regexp.MustCompile(`"(?:[^"]|"")*"`)

func inName(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// unwrap takes off the parentheses around the whole of text.
func unwrap(text string) string {
	for {
		text = strings.TrimSpace(text)
		if len(text) < 2 || text[0] != '(' || closing(text) != len(text)-1 {
			return text
		}
		text = text[1 : len(text)-1]
	}
}

// closing returns where the parenthesis that text begins with ends, or -1.
func closing(text string) int {
	depth, end := 0, -1
	scan(text, func(i int, c byte) bool {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				end = i
				return false
			}
		}
		return true
	})
	return end
}

// split cuts text at a word that stands between spaces outside of parentheses.
func split(text, word string) []string {
	var parts []string
	for {
		i := top(text, " "+word+" ")
		if i < 0 {
			return append(parts, text)
		}
		parts = append(parts, text[:i])
		text = text[i+len(word)+2:]
	}
}

// top returns where word first stands outside of parentheses and quotes, or -1.
func top(text, word string) int {
	depth, found := 0, -1
	scan(text, func(i int, c byte) bool {
		switch {
		case depth == 0 && strings.HasPrefix(text[i:], word):
			found = i
			return false
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		}
		return true
	})
	return found
}

// scan visits the bytes of text that are not within quotes until visit is done.
func scan(text string, visit func(i int, c byte) bool) {
	var quote byte
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0 // a doubled quote opens it again at once
			}
		case c == '\'' || c == '"':
			quote = c
		default:
			if !visit(i, c) {
				return
			}
		}
	}
}
