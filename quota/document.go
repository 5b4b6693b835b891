package quota

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Document is a plan, or a part of one, as it is written down: the object that JSON
// or YAML holds. Layers of a plan are merged as documents, by the rules of JSON
// Merge Patch (RFC 7396): objects member by member, null takes away, and anything
// else, lists too, takes the place of what was there.
type Document map[string]any

const (
	maxDocument = 1 << 20 // bytes
	maxDepth    = 16
)

// ParseDocument reads a JSON object. It refuses what JSON leaves open: members
// with the same name, and text after the object.
func ParseDocument(data []byte) (Document, error) {
	if len(data) > maxDocument {
		return nil, invalid("(document)", "want at most %d bytes, got %d", maxDocument, len(data))
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := readValue(decoder, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("(document)", "want nothing after the object")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, invalid("(document)", "want an object, got %s", kindOf(value))
	}
	return object, nil
}

// readValue reads the next value.
func readValue(decoder *json.Decoder, path string, depth int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, unreadable(path, err)
	}
	delim, nested := token.(json.Delim)
	if !nested {
		return token, nil
	}
	if depth == maxDepth {
		return nil, invalid(node{path: path}.name(), "want at most %d levels", maxDepth)
	}
	if delim == '[' {
		return readList(decoder, path, depth)
	}
	return readObject(decoder, path, depth)
}

func readObject(decoder *json.Decoder, path string, depth int) (any, error) {
	object := make(map[string]any)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, unreadable(path, err)
		}
		name, _ := token.(string)
		at := join(path, name)
		if _, twice := object[name]; twice {
			return nil, invalid(node{path: at}.name(), "this field is there twice")
		}
		if object[name], err = readValue(decoder, at, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token() // the closing brace
	return object, unreadable(path, err)
}

func readList(decoder *json.Decoder, path string, depth int) (any, error) {
	list := []any{}
	for decoder.More() {
		value, err := readValue(decoder, fmt.Sprintf("%s[%d]", path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := decoder.Token()
	return list, unreadable(path, err)
}

func unreadable(path string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return invalid(node{path: path}.name(), "not JSON: %v", err)
}

// layer is a document on its way into a plan, with where it comes from.
type layer struct {
	document Document
	origin   Origin
}

// merge puts the patches of l over what target has, and notes in origins, by path,
// where each value comes from.
func (l layer) merge(target, patch map[string]any, path string, origins map[string]Origin) {
	for name, value := range patch {
		at := join(path, name)
		if value == nil {
			delete(target, name)
			forget(origins, at)
			continue
		}
		object, isObject := value.(map[string]any)
		if !isObject {
			if _, was := target[name].(map[string]any); was {
				forget(origins, at)
			}
			target[name] = value
			origins[at] = l.origin
			continue
		}
		under, both := target[name].(map[string]any)
		if !both {
			under = make(map[string]any, len(object))
			target[name] = under
			forget(origins, at)
		}
		l.merge(under, object, at, origins)
	}
}

// forget takes away the origins of what is at path and below.
func forget(origins map[string]Origin, path string) {
	delete(origins, path)
	for at := range origins {
		if len(at) > len(path) && at[:len(path)] == path && at[len(path)] == '.' {
			delete(origins, at)
		}
	}
}
