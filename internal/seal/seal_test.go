package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/internal/seal"
)

// ring is a key ring: the last key seals, all open.
type ring struct {
	keys map[uint32][]byte
	last uint32
	err  error
}

func newRing() *ring {
	return &ring{keys: map[uint32][]byte{7: bytes.Repeat([]byte{7}, 32)}, last: 7}
}

func (r *ring) MACKey(context.Context) (uint32, []byte, error) { return r.last, r.keys[r.last], r.err }

func (r *ring) MACKeyByID(_ context.Context, id uint32) ([]byte, bool, error) {
	key, known := r.keys[id]
	return key, known, r.err
}

func (r *ring) rotate(id uint32) {
	r.keys[id], r.last = bytes.Repeat([]byte{byte(id)}, 32), id
}

// clock stands still until it is moved.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Unix(1_800_000_000, 0)} }

type content struct {
	Subject string
	N       int64
	Raw     []byte
}

func mustSeal(t testing.TB, s *seal.Sealer, v any, life time.Duration) string {
	t.Helper()
	text, err := s.Seal(t.Context(), v, life)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		purpose := rapid.String().Draw(rt, "purpose")
		c := content{
			// JSON keeps no text that is not UTF-8.
			Subject: rapid.StringOf(rapid.Rune()).Draw(rt, "subject"),
			N:       rapid.Int64().Draw(rt, "n"),
			Raw:     rapid.SliceOf(rapid.Byte()).Draw(rt, "raw"),
		}
		life := time.Duration(rapid.Int64Range(1, int64(24*time.Hour/time.Millisecond)).Draw(rt, "life")) * time.Millisecond
		keys, clock := newRing(), newClock()
		s := seal.New(purpose, keys, clock.now)
		text := mustSeal(t, s, c, life)

		keys.rotate(rapid.Uint32Range(8, 99).Draw(rt, "rotation")) // a rotation in between does no harm
		open := func() error {
			var got content
			err := seal.New(purpose, keys, clock.now).Open(t.Context(), text, &got)
			if err == nil && (got.Subject != c.Subject || got.N != c.N || !bytes.Equal(got.Raw, c.Raw)) {
				rt.Fatalf("%+v became %+v", c, got)
			}
			return err
		}
		clock.t = clock.t.Add(life - time.Millisecond)
		if err := open(); err != nil {
			rt.Fatalf("a millisecond before the end: %v", err)
		}
		clock.t = clock.t.Add(time.Millisecond)
		if err := open(); !errors.Is(err, seal.ErrInvalid) {
			rt.Fatalf("at the end: %v, want ErrInvalid", err)
		}
	})
}

// The same content never looks the same twice, and nothing of it can be seen.
func TestSealedTellsNothing(t *testing.T) {
	s := seal.New("test", newRing(), nil)
	one, two := mustSeal(t, s, "alice alice alice", time.Hour), mustSeal(t, s, "alice alice alice", time.Hour)
	if one == two {
		t.Error("two seals of one content are equal")
	}
	raw, err := base64.RawURLEncoding.DecodeString(one)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("alice")) {
		t.Error("the content is readable")
	}
}

func TestOpenRefuses(t *testing.T) {
	keys, clock := newRing(), newClock()
	s := seal.New("codes", keys, clock.now)
	good := mustSeal(t, s, content{Subject: "alice"}, time.Minute)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	gone := newRing()
	gone.rotate(8)
	otherKey := newRing()
	otherKey.keys[7] = bytes.Repeat([]byte{8}, 32)
	otherID := bytes.Clone(raw)
	otherID[4] = 8
	keys.keys[8] = keys.keys[7] // even one that has the same bytes under another name

	for name, text := range map[string]string{
		"nothing":            "",
		"words":              "not a sealed value",
		"other key":          mustSeal(t, seal.New("codes", otherKey, clock.now), content{}, time.Minute),
		"key that is gone":   mustSeal(t, seal.New("codes", rotated(9), clock.now), content{}, time.Minute),
		"other purpose":      mustSeal(t, seal.New("states", keys, clock.now), content{}, time.Minute),
		"longer purpose":     mustSeal(t, seal.New("codes ", keys, clock.now), content{}, time.Minute),
		"no purpose":         mustSeal(t, seal.New("", keys, clock.now), content{}, time.Minute),
		"other id":           base64.RawURLEncoding.EncodeToString(otherID),
		"expired when made":  mustSeal(t, s, content{}, 0),
		"expired long ago":   mustSeal(t, s, content{}, -time.Hour),
		"padded":             good + "=",
		"with a line break":  good[:10] + "\n" + good[10:],
		"with a blank":       " " + good,
		"twice":              good + good,
		"of another content": mustSeal(t, s, 5, time.Minute),
	} {
		var got content
		if err := s.Open(t.Context(), text, &got); !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	for i := range raw {
		for bit := range 8 {
			altered := bytes.Clone(raw)
			altered[i] ^= 1 << bit
			if err := s.Open(t.Context(), base64.RawURLEncoding.EncodeToString(altered), new(content)); !errors.Is(err, seal.ErrInvalid) {
				t.Errorf("bit %d of byte %d turned: %v, want ErrInvalid", bit, i, err)
			}
		}
		if err := s.Open(t.Context(), base64.RawURLEncoding.EncodeToString(raw[:i]), new(content)); !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("cut to %d bytes: %v, want ErrInvalid", i, err)
		}
	}
	var got content
	if err := s.Open(t.Context(), good, &got); err != nil || got.Subject != "alice" {
		t.Errorf("the good one: %+v, %v", got, err)
	}
}

func rotated(id uint32) *ring {
	r := newRing()
	r.rotate(id)
	return r
}

// The last character of a value has bits that decode to nothing; only one spelling counts.
func TestOneSpelling(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	s := seal.New("test", newRing(), nil)
	for _, c := range []string{"", "a", "ab", "abc"} { // of lengths that leave 0, 2 and 4 bits over
		good := mustSeal(t, s, c, time.Hour)
		accepted := 0
		for _, last := range alphabet {
			var got string
			if s.Open(t.Context(), good[:len(good)-1]+string(last), &got) == nil {
				accepted++
			}
		}
		if accepted != 1 {
			t.Errorf("content of %d bytes: %d spellings are accepted", len(c), accepted)
		}
	}
}

// An outage of the ring says nothing about a value.
func TestKeysUnavailable(t *testing.T) {
	keys := newRing()
	s := seal.New("test", keys, nil)
	good := mustSeal(t, s, "x", time.Hour)
	keys.err = errors.New("no view")
	if _, err := s.Seal(t.Context(), "x", time.Hour); !errors.Is(err, keys.err) {
		t.Errorf("sealing: %v, want the keys' error", err)
	}
	if err := s.Open(t.Context(), good, new(string)); !errors.Is(err, keys.err) || errors.Is(err, seal.ErrInvalid) {
		t.Errorf("opening: %v, want the keys' error", err)
	}
}

func TestSealRefusesWhatJSONCannotSay(t *testing.T) {
	if _, err := seal.New("test", newRing(), nil).Seal(t.Context(), func() {}, time.Hour); err == nil {
		t.Error("a function was sealed")
	}
}

// The format is what replicas of two releases read of each other: it must not change by accident. The value is opened here
// by hand.
func TestFormat(t *testing.T) {
	keys, clock := newRing(), newClock()
	text := mustSeal(t, seal.New("the purpose", keys, clock.now), map[string]string{"a": "b"}, time.Second)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	if header := raw[:5]; !bytes.Equal(header, []byte{1, 0, 0, 0, 7}) {
		t.Errorf("header %x", header)
	}
	key, err := hkdf.Key(sha256.New, keys.keys[7], nil, "authd sealed value, purpose: the purpose", 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, raw[5:17], raw[17:], raw[:5])
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x00\x00\x01\xa3\x18\x5c\x53\xe8" + `{"a":"b"}`; string(plain) != want {
		t.Errorf("inside is %q, want %q", plain, want)
	}
}

// Whatever is not sealed is refused, without a panic, and what is opened is what was sealed. (The processes of a fuzzing run
// share the key, and each seals for itself.)
func FuzzOpen(f *testing.F) {
	clock := newClock()
	s := seal.New("fuzz", newRing(), clock.now)
	good, err := s.Seal(context.Background(), content{Subject: "alice", N: 1}, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", good, good[1:], good + "A", strings.ToLower(good), good[:40], "AQAAAAc", strings.Repeat("A", 80)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got content
		err := s.Open(t.Context(), text, &got)
		if err == nil && got.Subject != "alice" || err != nil && !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	})
}
