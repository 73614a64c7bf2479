package tokentest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// member is a name and a value of a JSON object, as they are written: the name without its quotes.
type member struct{ name, value string }

// object is a JSON object that keeps the order of its members, and duplicates. Its methods change copies.
type object []member

// parseObject reads a well-formed JSON object.
func parseObject(text []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var o object
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("reading a JSON object: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading a JSON object: %w", err)
		}
		o = o.last(strings.Trim(quote(fmt.Sprint(name)), `"`), string(value))
	}
	return o, nil
}

func (o object) String() string {
	members := make([]string, len(o))
	for i, m := range o {
		members[i] = `"` + m.name + `":` + m.value
	}
	return "{" + strings.Join(members, ",") + "}"
}

// get returns the value of the first member of that name, or "".
func (o object) get(name string) string {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return ""
}

// set gives a member a value, at the end if it is new.
func (o object) set(name, value string) object {
	for i, m := range o {
		if m.name == name {
			changed := append(object{}, o...)
			changed[i].value = value
			return changed
		}
	}
	return o.last(name, value)
}

// last appends a member even when there is one of that name.
func (o object) last(name, value string) object {
	return append(append(object{}, o...), member{name, value})
}

// first puts a member before all others.
func (o object) first(name, value string) object { return append(object{{name, value}}, o...) }

func (o object) without(name string) object {
	var rest object
	for _, m := range o {
		if m.name != name {
			rest = append(rest, m)
		}
	}
	return rest
}

func (o object) rename(from, to string) object {
	changed := append(object{}, o...)
	for i := range changed {
		if changed[i].name == from {
			changed[i].name = to
		}
	}
	return changed
}

// quote writes a JSON string.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings are always written
	}
	return string(text)
}
