package planyaml

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/tenancy-go/tenancy/quota"
)

const maxDepth = 16 // as in quota

// field is a node with the path to it.
type field struct {
	node  *yaml.Node
	path  string
	depth int
}

// document returns the object that f is.
func (f field) document() (quota.Document, error) {
	value, err := f.value()
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, f.refuse("want an object, got %s", kindOf(value))
	}
	return object, nil
}

// value returns what f is, in the types that documents have.
func (f field) value() (any, error) {
	if f.node.Kind == yaml.AliasNode || f.node.Anchor != "" {
		return nil, f.refuse("anchors and aliases are not read: what plans share belongs in the defaults")
	}
	if f.node.Kind == yaml.ScalarNode {
		return f.scalar()
	}
	if f.depth == maxDepth {
		return nil, f.refuse("want at most %d levels", maxDepth)
	}
	if f.node.Kind == yaml.SequenceNode {
		return f.list()
	}
	return f.object()
}

func (f field) object() (any, error) {
	if f.node.Tag != "!!map" {
		return nil, f.badTag()
	}
	object := make(map[string]any, len(f.node.Content)/2)
	for i := 0; i < len(f.node.Content); i += 2 {
		member, name, err := f.member(i)
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, f.at(i).refuse("this field is there twice")
		}
		if object[name], err = member.value(); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// member returns the member of an object whose name is the node i.
func (f field) member(i int) (field, string, error) {
	key := f.at(i)
	if key.node.Kind == yaml.ScalarNode && key.node.Tag == "!!merge" {
		return field{}, "", key.refuse("merge keys are not read: what plans share belongs in the defaults")
	}
	value, err := key.value()
	if err != nil {
		return field{}, "", err
	}
	name, ok := value.(string)
	if !ok {
		return field{}, "", key.refuse("want a text for a name, got %s: quote it", kindOf(value))
	}
	return field{node: f.node.Content[i+1], path: key.path, depth: key.depth}, name, nil
}

func (f field) list() (any, error) {
	if f.node.Tag != "!!seq" {
		return nil, f.badTag()
	}
	list := make([]any, len(f.node.Content))
	for i := range list {
		var err error
		if list[i], err = f.at(i).value(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// at returns the element i of a list, or the name at i of an object with the path of
// what it names.
func (f field) at(i int) field {
	node, path := f.node.Content[i], fmt.Sprintf("%s[%d]", f.path, i)
	if f.node.Kind == yaml.MappingNode {
		path = join(f.path, node.Value)
	}
	return field{node: node, path: path, depth: f.depth + 1}
}

func join(path, name string) string {
	if name == "" {
		name = `""`
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func (f field) refuse(format string, args ...any) error {
	name := f.path
	if name == "" {
		name = "(document)"
	}
	return refuse(name, f.node.Line, format, args...)
}

func (f field) badTag() error {
	return f.refuse("the tag %s does not fit, or is none of the core schema", clip(f.node.Tag))
}

func clip(text string) string {
	if len(text) > 64 {
		return text[:64] + "…"
	}
	return text
}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "a number"
	}
}
