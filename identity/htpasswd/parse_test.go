package htpasswd

import (
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
)

// Whatever a file holds, what is taken from it can be used.
func FuzzParse(f *testing.F) {
	const hash = ":$2y$04$UuTkvmqe4UqD/L6bq7pZAuTLeVvYkMgp1gQCTrFg4jPDQFDEX0KQ6\n"
	f.Add([]byte("a" + hash + "b" + hash + "c" + hash + "d" + hash + "# a comment\n\nbob:!\r\ncarol:"))
	f.Add([]byte("\xff:\nA:\na:\n:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		u, err := parse(text, time.Time{})
		if err != nil {
			return
		}
		if len(u.names) != len(u.byName) || len(u.bySubject) != len(u.byName) {
			t.Errorf("%d names, %d accounts, %d subjects", len(u.names), len(u.byName), len(u.bySubject))
		}
		for name, e := range u.byName {
			normal, err := identity.NormalizeUsername(name)
			if err != nil || normal != name || e.account.Username != name || u.bySubject[e.account.Subject] != name {
				t.Errorf("%q is kept as %+v", name, e)
			}
			if e.hash != "" && identity.CheckHash(e.hash) != nil {
				t.Errorf("%q has a hash that cannot be used", name)
			}
		}
		if !slices.IsSorted(u.lenders) || !slices.IsSorted(u.names) {
			t.Errorf("lenders %q, names %q: not sorted", u.lenders, u.names)
		}
		if lender := u.lender("", "mallory"); (lender == "") != (len(u.lenders) == 0) {
			t.Errorf("lender %q of %d", lender, len(u.lenders))
		}
	})
}
