package redisstore

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/revocation"
)

func anyEntry(t *rapid.T) revocation.Entry {
	e := revocation.Entry{
		Kind:    revocation.Kind(rapid.IntRange(int(revocation.Token), int(revocation.Everything)).Draw(t, "kind")),
		Expires: rapid.Int64Range(1, 1<<32-1).Draw(t, "expires"),
	}
	if e.Kind != revocation.Everything {
		e.ID[0] = byte(rapid.IntRange(1, 4).Draw(t, "id"))
	}
	if hasCutoff(e.Kind) {
		e.NotBefore = rapid.Int64Range(1, 1<<32-1).Draw(t, "not before")
	}
	return e
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEntry(t)
		got, err := decode(string(encode(e)))
		if err != nil || got != e {
			t.Fatalf("got %+v, %v; want %+v", got, err, e)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(string(encode(revocation.Entry{Kind: revocation.Session, ID: revocation.ID{1}, Expires: 1})))
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := decode(s)
		if err != nil {
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("decodes to an entry that no store may accept: %v", err)
		}
		if string(encode(e)) != s {
			t.Fatalf("%q is written otherwise as %q", s, encode(e))
		}
	})
}
