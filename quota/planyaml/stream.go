package planyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tenancy-go/tenancy/quota"
)

const maxDocument = 1 << 20 // bytes, as in quota

// parse reads the only document of data.
func parse(data []byte) (field, error) {
	if len(data) > maxDocument {
		return field{}, refuse("(document)", 0, "want at most %d bytes, got %d", maxDocument, len(data))
	}
	if err := checkText(data); err != nil {
		return field{}, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	first, err := next(decoder)
	if err != nil {
		return field{}, err
	}
	if first == nil {
		return field{}, refuse("(document)", 1, "want an object, got nothing")
	}
	second, err := next(decoder)
	if err != nil {
		return field{}, err
	}
	if second != nil {
		return field{}, refuse("(document)", second.Line, "want one document")
	}
	return field{node: first.Content[0]}, nil
}

// next reads the next document, or nil after the last.
func next(decoder *yaml.Decoder) (document *yaml.Node, err error) {
	defer func() {
		if fault := recover(); fault != nil { // the decoder panics where it doubts itself
			err = refuse("(document)", 0, "not YAML: %v", fault)
		}
	}()
	document = new(yaml.Node)
	switch err := decoder.Decode(document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, unreadable(err)
	}
	return document, nil
}

// unreadable returns the decoder's error as one of this package. The decoder's lines
// can be one too low, and it leaves out the first, and those of anchors.
func unreadable(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.HasPrefix(text, "unknown anchor") {
		return refuse("(document)", 0, "not YAML: %s", text)
	}
	line := 1
	if _, err := fmt.Sscanf(text, "line %d: ", &line); err == nil {
		_, text, _ = strings.Cut(text, ": ")
	}
	return refuse("(document)", 0, "about line %d: not YAML: %s", line, text)
}

// checkText refuses what no text has, with the line, which the decoder does not know.
func checkText(data []byte) error {
	line := 1
	for rest := data; len(rest) > 0; {
		char, size := utf8.DecodeRune(rest)
		if char == utf8.RuneError && size == 1 {
			return refuse("(document)", line, "not YAML: want UTF-8")
		}
		if unicode.IsControl(char) && !strings.ContainsRune("\t\n\r\u0085", char) {
			return refuse("(document)", line, "not YAML: a control character, %U", char)
		}
		if char == '\n' {
			line++
		}
		rest = rest[size:]
	}
	return nil
}

// refuse returns the error about a field. Line 0 is for what is not known.
func refuse(name string, line int, format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	if line > 0 {
		reason = fmt.Sprintf("line %d: %s", line, reason)
	}
	return &quota.FieldError{Field: name, Reason: reason}
}
