package main

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"
)

// yamlReader reads a YAML file of a known form and collects what is wrong with it, each with its line: a person who made
// three mistakes is told of three.
type yamlReader struct {
	file     string
	problems []error
}

func (r *yamlReader) bad(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s:%d: %w", r.file, n.Line, fmt.Errorf(format, args...)))
}

// fields reads a mapping: into names its keys, and points to where each value goes. It returns the values as they stand.
func (r *yamlReader) fields(n *yaml.Node, into map[string]any) map[string]*yaml.Node {
	values := make(map[string]*yaml.Node)
	if n.Kind != yaml.MappingNode {
		r.bad(n, "want a mapping of %q", slices.Sorted(maps.Keys(into)))
		return values
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		target, known := into[key.Value]
		switch {
		case !known:
			r.bad(key, "%s: no such key; there are %q", key.Value, slices.Sorted(maps.Keys(into)))
			continue
		case values[key.Value] != nil:
			r.bad(key, "%s: given twice", key.Value)
			continue
		}
		values[key.Value] = value
		if err := value.Decode(target); err != nil {
			r.bad(value, "%s: want %s", key.Value, wanted(target))
		}
	}
	return values
}

// wanted says what a value should have been.
func wanted(target any) string {
	switch target.(type) {
	case *bool:
		return "true or false"
	case *string:
		return "one value"
	case *[]string:
		return "a list of values"
	default:
		return "a list"
	}
}
