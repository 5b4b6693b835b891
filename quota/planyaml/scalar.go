package planyaml

import (
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

const maxWhole = 1 << 53 // the largest that a float64 counts up to

// number is what JSON writes as a number.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// surprises are plain texts that YAML 1.1, YAML 1.2 and their readers understand
// differently, with what to write instead.
var surprises = []struct {
	plain  *regexp.Regexp
	advice string
}{
	{regexp.MustCompile(`^(?i:y|yes|n|no|on|off)$`), "write true or false, or quote the text"},
	{regexp.MustCompile(`^[-+]?(?i:\.inf|\.nan)$`), "want a finite number, or quote the text"},
	{regexp.MustCompile(`^[-+]?(0[bB][01_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+)$`), "write the number in decimal, or quote the text"},
	{regexp.MustCompile(`^[-+]?[0-9_]*\.?[0-9_]*[0-9][0-9_]*\.?([eE][-+]?[0-9_]+)?$`), "write the number as 1000 or 0.5, or quote the text"},
	{regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`), "write the number in decimal, or quote the text"},
	{regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(([Tt]|[ \t]+)[0-9].*)?$`), "quote the text"},
	{regexp.MustCompile(`^(=|<<)$`), "quote the text"},
}

func (f field) scalar() (any, error) {
	switch {
	case f.node.Style&yaml.TaggedStyle != 0:
		return f.tagged()
	case f.node.Style != 0: // quoted, or a block
		return f.node.Value, nil
	case f.node.Value == "":
		return nil, f.refuse("nothing stands here: write {} for nothing of its own, null to take away what is there, or a quoted text")
	default:
		return f.plain()
	}
}

// plain returns what the text of f is without quotes.
func (f field) plain() (any, error) {
	text := f.node.Value
	switch text {
	case "", "~", "null", "Null", "NULL":
		return nil, nil
	case "true", "True", "TRUE":
		return true, nil
	case "false", "False", "FALSE":
		return false, nil
	}
	if number.MatchString(text) {
		return f.number()
	}
	for _, s := range surprises {
		if s.plain.MatchString(text) {
			return nil, f.refuse("%s: readers of YAML differ on what this is: %s", clip(text), s.advice)
		}
	}
	return text, nil
}

// number returns an int64, or else a float64.
func (f field) number() (any, error) {
	text := f.node.Value
	whole, err := strconv.ParseInt(text, 10, 64)
	if err == nil && -maxWhole <= whole && whole <= maxWhole {
		return whole, nil
	}
	if isWhole(text) {
		return nil, f.refuse("want a whole number up to 2^53, got %s", clip(text))
	}
	fraction, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, f.refuse("want a finite number, got %s", clip(text))
	}
	return fraction, nil
}

// isWhole reports whether a number has neither a fraction nor an exponent.
func isWhole(number string) bool {
	for _, char := range number {
		if char == '.' || char == 'e' || char == 'E' {
			return false
		}
	}
	return true
}

// tagged returns the value of a scalar whose type is written before it.
func (f field) tagged() (any, error) {
	if f.node.Tag == "!!str" {
		return f.node.Value, nil
	}
	value, err := f.plain()
	if err != nil {
		return nil, err
	}
	tag := "!!null"
	switch whole := value.(type) {
	case bool:
		tag = "!!bool"
	case float64:
		tag = "!!float"
	case string:
		tag = "!!str"
	case int64:
		if f.node.Tag == "!!float" {
			return float64(whole), nil
		}
		tag = "!!int"
	}
	if f.node.Tag != tag {
		return nil, f.badTag()
	}
	return value, nil
}
