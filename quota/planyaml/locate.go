package planyaml

import (
	"errors"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tenancy-go/tenancy/quota"
)

// locate puts the line into an error that the catalog below f was refused with.
func (f field) locate(err error) error {
	var fault *quota.FieldError
	if !errors.As(err, &fault) {
		return err
	}
	return refuse(fault.Field, f.lineOf(fault.Field), "%s", fault.Reason)
}

// lineOf returns the line of the field at path, or of the one closest above it. A field
// of a plan may stand in the defaults.
func (f field) lineOf(path string) int {
	line, at := f.nearest(path, f.node.Line)
	below, isPlan := strings.CutPrefix(path, "plans.")
	_, rest, isField := strings.Cut(below, ".")
	if !isPlan || !isField {
		return line
	}
	shared := "defaults." + rest
	sharedLine, sharedAt := f.nearest(shared, f.node.Line)
	if len(shared)-len(sharedAt) < len(path)-len(at) {
		return sharedLine
	}
	return line
}

// nearest returns line and path of the field at path, or of the one closest above it,
// which may be f itself, in line.
func (f field) nearest(path string, line int) (int, string) {
	for i := 0; i < len(f.node.Content); i++ {
		found := f.at(i)
		if f.node.Kind == yaml.MappingNode {
			i++ // a name, and then its value
		}
		if within(path, found.path) {
			value := field{node: f.node.Content[i], path: found.path}
			return value.nearest(path, found.node.Line)
		}
	}
	return line, f.path
}

// within reports whether path is at, or below it.
func within(path, at string) bool {
	rest, ok := strings.CutPrefix(path, at)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
