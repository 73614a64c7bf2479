package revocation_test

import (
	"testing"

	"github.com/authd-project/authd/revocation"
)

// A position has one spelling.
func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"", "e-1", "a-b-18446744073709551615", "e-01", "-1", "e-", "e--1", "e 1", "e-18446744073709551616"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := revocation.ParsePosition(s)
		if err == nil && p.String() != s {
			t.Errorf("%q is read as %+v, which is %q", s, p, p)
		}
	})
}
