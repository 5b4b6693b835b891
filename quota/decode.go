package quota

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// node is a value of a document with the path to it. Values are those of
// [encoding/json] with UseNumber, or of a YAML decoder.
type node struct {
	path  string
	value any
}

// fields returns the members of an object, and refuses those that are not known.
func (n node) fields(known ...string) (map[string]node, error) {
	members, err := n.members()
	if err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(members) {
		if !slices.Contains(known, name) {
			return nil, invalid(members[name].path, "unknown field; known are %s", strings.Join(known, ", "))
		}
	}
	return members, nil
}

// members returns the members of an object. A null, and what is missing, has none.
func (n node) members() (map[string]node, error) {
	if n.value == nil {
		return nil, nil
	}
	object, ok := n.value.(map[string]any)
	if !ok {
		return nil, invalid(n.name(), "want an object, got %s", kindOf(n.value))
	}
	members := make(map[string]node, len(object))
	for name, value := range object {
		members[name] = node{path: join(n.path, name), value: value}
	}
	return members, nil
}

// name returns the path, which is never empty.
func (n node) name() string {
	if n.path == "" {
		return "(document)"
	}
	return n.path
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case json.Number, float64, int, int64, uint64:
		return "a number"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("a value of type %T", value)
	}
}

// The methods below return the zero value for what is missing or null.

func (n node) text() (string, error) {
	if n.value == nil {
		return "", nil
	}
	s, ok := n.value.(string)
	if !ok {
		return "", invalid(n.name(), "want a text, got %s", kindOf(n.value))
	}
	return s, nil
}

func (n node) flag() (bool, error) {
	if n.value == nil {
		return false, nil
	}
	b, ok := n.value.(bool)
	if !ok {
		return false, invalid(n.name(), "want true or false, got %s", kindOf(n.value))
	}
	return b, nil
}

func (n node) texts() ([]string, error) {
	if n.value == nil {
		return nil, nil
	}
	list, ok := n.value.([]any)
	if !ok {
		return nil, invalid(n.name(), "want a list of texts, got %s", kindOf(n.value))
	}
	texts := make([]string, len(list))
	for i, value := range list {
		var err error
		if texts[i], err = (node{fmt.Sprintf("%s[%d]", n.path, i), value}).text(); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func (n node) fraction() (float64, error) {
	switch value := n.value.(type) {
	case nil:
		return 0, nil
	case json.Number:
		if f, err := value.Float64(); err == nil {
			return f, nil
		}
	case float64:
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			return value, nil
		}
	case int:
		return float64(value), nil
	case int64:
		return float64(value), nil
	}
	return 0, invalid(n.name(), "want a number, got %s", kindOf(n.value))
}

// whole returns a number without a fraction.
func (n node) whole() (int64, error) {
	switch value := n.value.(type) {
	case nil:
		return 0, nil
	case json.Number:
		if i, err := value.Int64(); err == nil {
			return i, nil
		}
		if f, err := value.Float64(); err == nil && f == math.Trunc(f) && math.Abs(f) <= float64(maxUnits) {
			return int64(f), nil
		}
	case float64:
		if value == math.Trunc(value) && math.Abs(value) <= float64(maxUnits) {
			return int64(value), nil
		}
	case int:
		return int64(value), nil
	case int64:
		return value, nil
	}
	return 0, invalid(n.name(), "want a whole number up to 2^53, got %v", n.value)
}

// count returns a number of units: a whole one, a size such as 10GiB, or
// "unlimited".
func (n node) count() (int64, error) {
	text, ok := n.value.(string)
	if !ok {
		count, err := n.whole()
		if err == nil && count < 0 {
			err = invalid(n.name(), "want 0 to 2^53 or unlimited, got %d", count)
		}
		return count, err
	}
	if text == "unlimited" {
		return Unlimited, nil
	}
	size, ok := parseSize(text)
	if !ok {
		return 0, invalid(n.name(), "%q: want a whole number, a size such as 500MB or 10GiB, or unlimited", clip(text))
	}
	return size, nil
}

func clip(s string) string {
	if len(s) > maxName {
		return s[:maxName] + "…"
	}
	return s
}

var sizes = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"PB", 1e15}, {"B", 1},
}

// parseSize returns the bytes of a size with a unit: binary (KiB) or decimal (kB).
func parseSize(text string) (int64, bool) {
	for _, size := range sizes {
		digits, found := strings.CutSuffix(text, size.suffix)
		if !found {
			continue
		}
		digits = strings.TrimSpace(digits)
		if strings.Trim(digits, "0123456789.") != "" {
			return 0, false
		}
		number, err := strconv.ParseFloat(digits, 64)
		if bytes := number * size.bytes; err == nil && bytes == math.Trunc(bytes) && bytes <= float64(maxUnits) {
			return int64(bytes), true
		}
		return 0, false
	}
	return 0, false
}

func (n node) duration() (time.Duration, error) {
	text, err := n.text()
	if err != nil || text == "" {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, invalid(n.name(), "%q: want a duration such as 30s or 5m", clip(text))
	}
	return d, nil
}
