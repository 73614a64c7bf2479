package revocation_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
)

// kinds draws a kind.
func kinds() *rapid.Generator[revocation.Kind] {
	return rapid.Custom(func(t *rapid.T) revocation.Kind {
		return revocation.Kind(rapid.IntRange(int(revocation.Token), int(revocation.Everything)).Draw(t, "kind"))
	})
}

// entries draws valid entries with few different IDs, so that they meet.
func entries() *rapid.Generator[revocation.Entry] {
	return rapid.Custom(func(t *rapid.T) revocation.Entry {
		e := revocation.Entry{Kind: kinds().Draw(t, "kind"), Expires: rapid.Int64Range(1, 1<<32-1).Draw(t, "expires")}
		if e.Kind != revocation.Everything {
			e.ID[rapid.SampledFrom([]int{0, 8}).Draw(t, "byte")] = byte(rapid.IntRange(1, 20).Draw(t, "value"))
		}
		if cutoff(e.Kind) {
			e.NotBefore = rapid.Int64Range(1, 1<<32-1).Draw(t, "not before")
		}
		return e
	})
}

// cutoff tells whether entries of kind k have a cut-off.
func cutoff(k revocation.Kind) bool {
	return k == revocation.Subject || k == revocation.Client || k == revocation.Everything
}

// Invariant R4: merging is a join, so replicas that got the same entries in any order, any number of times, agree.
func TestMergeIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := entries().Draw(t, "a"), entries().Draw(t, "b"), entries().Draw(t, "c")
		b.Kind, b.ID, c.Kind, c.ID = a.Kind, a.ID, a.Kind, a.ID
		if a.Merge(b) != b.Merge(a) {
			t.Error("not commutative")
		}
		if a.Merge(b).Merge(c) != a.Merge(b.Merge(c)) {
			t.Error("not associative")
		}
		if a.Merge(a) != a {
			t.Error("not idempotent")
		}
		if j := a.Merge(b); j.NotBefore < a.NotBefore || j.Expires < a.Expires {
			t.Error("lowered a time")
		}
	})
}

func TestKindNames(t *testing.T) {
	for k := revocation.Token; k <= revocation.Everything; k++ {
		if got, err := revocation.ParseKind(k.String()); err != nil || got != k {
			t.Errorf("%v: parsed as %v, %v", k, got, err)
		}
	}
	for _, s := range []string{"", "SID", "kind(0)"} {
		if k, err := revocation.ParseKind(s); err == nil {
			t.Errorf("%q parsed as %v", s, k)
		}
	}
	if revocation.Kind(0).Valid() || revocation.Kind(7).Valid() || revocation.Kind(7).String() != "kind(7)" {
		t.Error("a kind out of range passes as valid")
	}
}

func TestIDOf(t *testing.T) {
	random := "AAECAwQFBgcICQoLDA0ODw" // 00 01 .. 0f
	want := revocation.ID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, k := range []revocation.Kind{revocation.Token, revocation.Session} {
		if got := revocation.IDOf(k, random); got != want {
			t.Errorf("%v: got %x, want the decoded bytes", k, got)
		}
		// The last character has four spare bits; decoded leniently it would be a second name for the same ID.
		if got := revocation.IDOf(k, random[:21]+"x"); got == want {
			t.Errorf("%v: another spelling has the same ID", k)
		}
	}
	sum := sha256.Sum256([]byte("authd:sub\x00alice"))
	if got := revocation.IDOf(revocation.Subject, "alice"); got != revocation.ID(sum[:16]) {
		t.Errorf("subject: got %x, want the digest as documented", got)
	}
	if revocation.IDOf(revocation.Subject, "x") == revocation.IDOf(revocation.Client, "x") {
		t.Error("a subject and a client of one name share an ID")
	}
	if got := revocation.IDOf(revocation.Subject, random); got == want {
		t.Error("a subject's name was decoded")
	}
	if _, err := base64.RawURLEncoding.DecodeString(random); err != nil {
		t.Fatal(err)
	}
}

func TestValidate(t *testing.T) {
	id := revocation.ID{1}
	for name, test := range map[string]struct {
		entry   revocation.Entry
		problem string // part of the error; empty for a valid entry
	}{
		"session":          {revocation.Entry{Kind: revocation.Session, ID: id, Expires: 1}, ""},
		"last second":      {revocation.Entry{Kind: revocation.Session, ID: id, Expires: 1<<32 - 1}, ""},
		"everything":       {revocation.Entry{Kind: revocation.Everything, NotBefore: 1, Expires: 1}, ""},
		"no kind":          {revocation.Entry{ID: id, Expires: 1}, "kind(0)"},
		"unknown kind":     {revocation.Entry{Kind: 7, ID: id, Expires: 1}, "kind(7)"},
		"no id":            {revocation.Entry{Kind: revocation.Token, Expires: 1}, "needs an id"},
		"all with id":      {revocation.Entry{Kind: revocation.Everything, ID: id, NotBefore: 1, Expires: 1}, "takes no id"},
		"no cut-off":       {revocation.Entry{Kind: revocation.Client, ID: id, Expires: 1}, "needs a cut-off"},
		"needless cut-off": {revocation.Entry{Kind: revocation.Key, ID: id, NotBefore: 1, Expires: 1}, "takes no cut-off"},
		"negative cut-off": {revocation.Entry{Kind: revocation.Subject, ID: id, NotBefore: -1, Expires: 1}, "needs a cut-off"},
		"no expiry":        {revocation.Entry{Kind: revocation.Session, ID: id}, "out of range"},
		"expiry too late":  {revocation.Entry{Kind: revocation.Session, ID: id, Expires: 1 << 32}, "out of range"},
		"cut-off too late": {revocation.Entry{Kind: revocation.Subject, ID: id, NotBefore: 1 << 32, Expires: 1}, "out of range"},
	} {
		err := test.entry.Validate()
		switch {
		case test.problem == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
			t.Errorf("%s: got %v, want %q", name, err, test.problem)
		}
	}
}

// "iat" has whole seconds, so a cut-off within a second must lie behind every token issued in that second before it.
func TestCutoffRoundsUp(t *testing.T) {
	whole := time.Unix(1000, 0)
	if got := revocation.Cutoff(whole); got != 1000 {
		t.Errorf("whole second: got %d", got)
	}
	if got := revocation.Cutoff(whole.Add(1)); got != 1001 {
		t.Errorf("a nanosecond later: got %d", got)
	}
}

func TestExpired(t *testing.T) {
	e := revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 1000}
	if e.Expired(time.Unix(999, 999_999_999)) || !e.Expired(time.Unix(1000, 0)) {
		t.Error("an entry expires at its second, not before")
	}
}

func TestPosition(t *testing.T) {
	for _, p := range []revocation.Position{
		{}, {Epoch: "e", Seq: 0}, {Epoch: "with-dash", Seq: 7}, {Epoch: strings.Repeat("e", 64), Seq: 1<<64 - 1},
	} {
		if got, err := revocation.ParsePosition(p.String()); err != nil || got != p {
			t.Errorf("%q: parsed as %v, %v", p, got, err)
		}
	}
	for _, s := range []string{
		"e", "-1", "e-", "e-x", "e-01", "e-+1", "e-18446744073709551616", "e e-1", "e\n-1", "é-1",
		strings.Repeat("e", 65) + "-1",
	} {
		if p, err := revocation.ParsePosition(s); err == nil {
			t.Errorf("%q: parsed as %v", s, p)
		}
	}
}
