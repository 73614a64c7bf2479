package oauth

import (
	"errors"
	"net/url"
	"strings"
)

// Form is the parameters of a request: of a query or of a body of the type application/x-www-form-urlencoded. One without a
// value counts as absent (RFC 6749 section 3.1).
type Form struct {
	values   map[string]string
	repeated map[string]bool // those that came more than once, which none may
}

// maxParameters bounds what a request can make us remember.
const maxParameters = 64

// ParseForm takes a form apart. It is strict about the encoding, as two readers must not see two requests.
func ParseForm(encoded string) (Form, error) {
	f := Form{values: make(map[string]string), repeated: make(map[string]bool)}
	for pair := range strings.SplitSeq(encoded, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || strings.Contains(pair, ";") {
			return Form{}, errors.New("is not well encoded")
		}
		if len(f.values) == maxParameters {
			return Form{}, errors.New("has too many parameters")
		}
		if _, have := f.values[name]; have {
			f.repeated[name] = true
		}
		f.values[name] = value
	}
	return f, nil
}

// Get returns the value of a parameter, or "". Of one that came more than once it is "".
func (f Form) Get(name string) string {
	if f.repeated[name] {
		return ""
	}
	return f.values[name]
}

// Repeated tells whether the parameter came more than once.
func (f Form) Repeated(name string) bool { return f.repeated[name] }

// firstRepeated returns one of these that came more than once, or "". Others may: extensions define such, and we ignore
// what we do not know.
func (f Form) firstRepeated(names ...string) string {
	for _, name := range names {
		if f.repeated[name] {
			return name
		}
	}
	return ""
}
