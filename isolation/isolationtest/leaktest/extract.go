package leaktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Response is an answer. Its body is decoded.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Extractor takes a value out of an answer.
type Extractor func(*Response) (string, error)

// FromHeader takes the first match of a pattern, or its first group, out of a header: an ID
// out of Location, say. An empty pattern takes all of the header.
func FromHeader(name, pattern string) Extractor {
	return func(r *Response) (string, error) {
		values := r.Header.Values(name)
		if len(values) == 0 {
			return "", fmt.Errorf("no header %s", name)
		}
		return match(pattern, strings.Join(values, "\n"))
	}
}

// FromBody takes the first match of a pattern, or its first group, out of the body.
func FromBody(pattern string) Extractor {
	return func(r *Response) (string, error) { return match(pattern, string(r.Body)) }
}

// FromCookie takes the value of a cookie that the answer sets.
func FromCookie(name string) Extractor {
	return func(r *Response) (string, error) {
		for _, c := range (&http.Response{Header: r.Header}).Cookies() {
			if c.Name == name {
				return c.Value, nil
			}
		}
		return "", fmt.Errorf("no cookie %s", name)
	}
}

// FromJSON takes a value out of a JSON body, by the names and numbers on the way to it: "items.0.id".
func FromJSON(path string) Extractor {
	return func(r *Response) (string, error) {
		d := json.NewDecoder(strings.NewReader(string(r.Body)))
		d.UseNumber() // large IDs stay as they are
		var v any
		if err := d.Decode(&v); err != nil {
			return "", fmt.Errorf("no JSON: %w", err)
		}
		for _, name := range strings.Split(path, ".") {
			v = descend(v, name)
		}
		switch v := v.(type) {
		case nil:
			return "", fmt.Errorf("no %s in the JSON", path)
		case string:
			return v, nil
		default:
			return fmt.Sprint(v), nil
		}
	}
}

func descend(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[name]
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

func match(pattern, text string) (string, error) {
	if pattern == "" {
		return text, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", err
	}
	found := re.FindStringSubmatch(text)
	switch {
	case found == nil:
		return "", fmt.Errorf("no match for %s", pattern)
	case len(found) > 1 && found[1] == "", found[0] == "":
		return "", errors.New("an empty match for " + pattern)
	case len(found) > 1:
		return found[1], nil
	default:
		return found[0], nil
	}
}
