// Package jsonobject reads flat JSON objects from strangers. It is strict where encoding/json is not: names match exactly,
// none may be repeated or unknown, null is not a value, nothing follows the object, and text must be valid Unicode. What
// is wrong is told by the names of members, never by their values.
package jsonobject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Field is one member that an object may have.
type Field struct {
	Name     string
	Into     any // *string, *bool, *[]string, or *json.RawMessage for an object that others read
	Required bool
	Max      int // longest string or object, in bytes; of each item in a list; 0 sets no limit
}

// Fault is what is wrong with one member.
type Fault struct {
	Name   string // cut, if it is unknown and long
	Reason string
}

var errNotJSON = errors.New("is not valid JSON")

// Decode fills fields from text, which must be one JSON object. The error says what is wrong with the text as a whole, in
// words that go on from "the body"; faults are about members. Fields may be partly filled in both cases.
func Decode(text []byte, fields ...Field) (faults []Fault, err error) {
	if !utf8.Valid(text) || hasLoneSurrogate(text) {
		return nil, errors.New("is not valid Unicode")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	seen := make(map[string]bool, len(fields))
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errNotJSON
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errNotJSON
		}
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
		switch {
		case seen[name]:
			faults = append(faults, Fault{Name: showName(name), Reason: "given twice"})
		case i < 0:
			faults = append(faults, Fault{Name: showName(name), Reason: "unknown"})
		default:
			if fault := fields[i].set(value); fault != "" {
				faults = append(faults, Fault{Name: name, Reason: fault})
			}
		}
		seen[name] = true
		if len(faults) > maxFaults {
			return faults, nil
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNotJSON
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("goes on after the JSON object")
	}
	for _, f := range fields {
		if f.Required && !seen[f.Name] {
			faults = append(faults, Fault{Name: f.Name, Reason: "missing"})
		}
	}
	return faults, nil
}

// maxFaults bounds the answer to a body that is nothing but faults.
const maxFaults = 20

// set stores value, or says what is wrong with it.
func (f Field) set(value json.RawMessage) (fault string) {
	null := string(value) == "null"
	switch into := f.Into.(type) {
	case *bool:
		if json.Unmarshal(value, into) != nil || null {
			return "must be true or false"
		}
	case *string:
		if json.Unmarshal(value, into) != nil || null {
			return "must be a string"
		}
		return f.checkText(*into)
	case *[]string:
		var items []*string // pointers tell null from ""
		if json.Unmarshal(value, &items) != nil || null {
			return "must be a list of strings"
		}
		for _, item := range items {
			if item == nil {
				return "must be a list of strings"
			}
			if fault := f.checkText(*item); fault != "" {
				return fault
			}
			*into = append(*into, *item)
		}
	case *json.RawMessage:
		if len(value) == 0 || value[0] != '{' {
			return "must be an object"
		}
		*into = value
		return f.checkText(string(value))
	default:
		return fmt.Sprintf("has the unsupported type %T", f.Into)
	}
	return ""
}

func (f Field) checkText(s string) (fault string) {
	switch {
	case s == "":
		return "must not be empty"
	case f.Max > 0 && len(s) > f.Max:
		return fmt.Sprintf("must be at most %d bytes", f.Max)
	}
	return ""
}

// showName makes a member's name fit for an answer: whoever sent it chose it.
func showName(name string) string {
	const longest = 64
	if len(name) <= longest {
		return name
	}
	return strings.ToValidUTF8(name[:longest], "") + "…"
}
