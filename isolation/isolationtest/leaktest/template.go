package leaktest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// canaryVar is the variable that is a new marker each time.
const canaryVar = "canary"

// lookup returns the value of a variable that is used at a place of a request.
type lookup func(name, place string) (string, error)

// expand puts values in place of the variables of a template.
func expand(template, place string, escape func(string) string, value lookup) (string, error) {
	var b strings.Builder
	for rest := template; ; {
		text, after, found := strings.Cut(rest, "{{")
		b.WriteString(text)
		if !found {
			return b.String(), nil
		}
		name, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return "", fmt.Errorf("leaktest: {{ without }} in %q", template)
		}
		v, err := value(strings.TrimSpace(name), place)
		if err != nil {
			return "", err
		}
		b.WriteString(escape(v))
		rest = tail
	}
}

func verbatim(s string) string { return s }

// inJSON escapes a value for use between double quotes.
func inJSON(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil { // no string does
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// onlyVariable reports whether a template is one variable, perhaps with a query after it.
func onlyVariable(template string) bool { return strings.HasPrefix(template, "{{") }

// target expands the path of a step, with its query, below base.
func target(path, base string, value lookup) (string, error) {
	before, query, hasQuery := strings.Cut(path, "?")
	escape := url.PathEscape
	if onlyVariable(path) {
		base, escape = "", linkTarget
	}
	expanded, err := expand(before, "path", escape, value)
	if err != nil {
		return "", err
	}
	if onlyVariable(path) && !strings.HasPrefix(expanded, "/") {
		expanded = "/" + expanded
	}
	expanded = base + expanded
	if !hasQuery {
		return expanded, nil
	}
	query, err = expand(query, "query", url.QueryEscape, value)
	if err != nil {
		return "", err
	}
	joint := "?"
	if strings.Contains(expanded, "?") {
		joint = "&"
	}
	return expanded + joint + query, nil
}

// linkTarget returns path and query of a link.
func linkTarget(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return url.PathEscape(link)
	}
	if u.RawQuery != "" {
		return u.EscapedPath() + "?" + u.RawQuery
	}
	return u.EscapedPath()
}
