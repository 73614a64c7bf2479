package session

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var testKey = bytes.Repeat([]byte{7}, 32)

// The format is what clients hold for a month: it must not change by accident. The values were computed with Python's
// hmac module, not with this package.
func TestRefreshTokenFormat(t *testing.T) {
	id := ID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for subject, want := range map[string]string{
		"":          "authd_rt_AQECAwQAAQIDBAUGBwgJCgsMDQ4PAAAAAAAAAQL69xtwEuDIfTiW32DBxMrWB6kcdFOATL7GJT761E7Idg",
		"sub-alice": "authd_rt_AgECAwQAAQIDBAUGBwgJCgsMDQ4PAAAAAAAAAQJzdWItYWxpY2UeUnCcgOlqq2IQp-wwP04Kzev1nBVBdE-U2kFHlI6ESg",
	} {
		if got := newRefreshToken(0x01020304, testKey, id, 258, subject).encode(); got != want {
			t.Errorf("encode: %s\nwant:   %s", got, want)
		}
		got, err := parseRefreshToken(want)
		if err != nil {
			t.Fatal(err)
		}
		if got.keyID != 0x01020304 || got.session != id || got.generation != 258 || got.subject != subject || !got.verify(testKey) {
			t.Errorf("parsed %+v", got)
		}
	}
}

// Whose subject is too long gets a token without it.
func TestRefreshTokenOfLongSubject(t *testing.T) {
	for length, want := range map[int]int{maxTokenSubject: maxTokenSubject, maxTokenSubject + 1: 0} {
		raw := newRefreshToken(1, testKey, ID{1}, 1, strings.Repeat("a", length)).encode()
		got, err := parseRefreshToken(raw)
		if err != nil || len(got.subject) != want || !got.verify(testKey) {
			t.Errorf("subject of %d bytes: the token has one of %d, %v; want %d", length, len(got.subject), err, want)
		}
	}
}

func TestRefreshTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		id := ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		keyID := rapid.Uint32().Draw(t, "key id")
		generation := rapid.Uint64Range(1, math.MaxUint64).Draw(t, "generation")
		subject := rapid.StringN(0, -1, maxTokenSubject).Draw(t, "subject")

		raw := newRefreshToken(keyID, key, id, generation, subject).encode()
		got, err := parseRefreshToken(raw)
		if err != nil || got.keyID != keyID || got.session != id || got.generation != generation ||
			got.subject != subject || !got.verify(key) {
			t.Fatalf("%s: parsed %+v, %v", raw, got, err)
		}
		key[rapid.IntRange(0, 31).Draw(t, "byte of key")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit of key")
		if got.verify(key) {
			t.Fatal("verified with another key")
		}
	})
}

func TestChangedRefreshTokenIsRefused(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	raw := newRefreshToken(1, testKey, ID{1}, 1, "alice").encode()
	for _, changed := range []string{raw[:len(raw)-4], raw + "AAAA"} { // another subject, as far as the form goes
		if got, err := parseRefreshToken(changed); err == nil && got.verify(testKey) {
			t.Fatalf("accepted with a length of %d, not %d", len(changed), len(raw))
		}
	}
	for i := range len(raw) {
		for _, c := range []byte(alphabet) {
			if c == raw[i] {
				continue
			}
			changed := raw[:i] + string(c) + raw[i+1:]
			if got, err := parseRefreshToken(changed); err == nil && got.verify(testKey) {
				t.Fatalf("accepted with character %d changed to %q", i, c)
			}
		}
	}
}

func TestMalformedRefreshTokens(t *testing.T) {
	good := newRefreshToken(1, testKey, ID{1}, 1, "ann?") // such a length leaves bits over
	bare := newRefreshToken(1, testKey, ID{1}, 1, "")
	raw := good.encode()
	body := raw[len(refreshPrefix):]
	of := func(version byte, t refreshToken) string { // with a MAC that is right
		signed := append([]byte{version}, t.signed()[1:]...)
		h := hmac.New(sha256.New, testKey)
		h.Write([]byte(refreshPrefix))
		h.Write(signed)
		return refreshPrefix + base64.RawURLEncoding.EncodeToString(h.Sum(signed))
	}
	if of(versionSubject, good) != raw {
		t.Fatal("the test makes other tokens than the package")
	}
	for name, s := range map[string]string{
		"empty":             "",
		"prefix only":       refreshPrefix,
		"no prefix":         body,
		"other prefix":      "authd_xx_" + body,
		"cut":               raw[:len(raw)-1],
		"longer":            bare.encode() + "A",
		"padded":            raw + "=",
		"space before":      " " + raw,
		"line break inside": raw[:40] + "\n" + raw[41:],
		"return inside":     raw[:40] + "\r" + raw[41:],
		"standard alphabet": raw[:40] + "+" + raw[41:],
		"NUL inside":        raw[:40] + "\x00" + raw[41:],
		"spare bits set":    raw[:len(raw)-1] + string(raw[len(raw)-1]+1),
		"generation zero":   newRefreshToken(1, testKey, ID{1}, 0, "ann?").encode(),
		"version 0":         of(0, good),
		"version 3":         of(3, good),
		"a subject in v1":   of(versionBare, good),
		"no subject in v2":  of(versionSubject, bare),
		"subject too long":  of(versionSubject, refreshToken{generation: 1, subject: strings.Repeat("a", maxTokenSubject+1)}),
		"cut to the MAC":    refreshPrefix + base64.RawURLEncoding.EncodeToString(good.mac[:]),
		"huge":              refreshPrefix + strings.Repeat("A", 1<<20),
	} {
		if _, err := parseRefreshToken(s); err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(s) > 0 && strings.Contains(err.Error(), s) {
			t.Errorf("%s: the error repeats the token", name)
		}
	}
}

func FuzzParseRefreshToken(f *testing.F) {
	for _, raw := range []string{
		newRefreshToken(1, testKey, ID{1}, 1, "").encode(), newRefreshToken(1, testKey, ID{1}, 1, "alice").encode(),
	} {
		for _, seed := range []string{"", refreshPrefix, raw, raw[:40] + "\n" + raw[41:], raw + "A", strings.Repeat("A", len(raw))} {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseRefreshToken(s)
		if err != nil {
			return
		}
		if again := got.encode(); again != s {
			t.Errorf("accepted a spelling that encode does not make:\n%q\n%q", s, again)
		}
		if got.verify(testKey) != (newRefreshToken(got.keyID, testKey, got.session, got.generation, got.subject).encode() == s) {
			t.Error("verified something else than what the key makes")
		}
	})
}

func BenchmarkRefreshToken(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		t, err := parseRefreshToken(newRefreshToken(1, testKey, ID{1}, 1, "0yVhGkH3RkqC1FGsvbGtLw").encode())
		if err != nil || !t.verify(testKey) {
			b.Fatal(err)
		}
	}
}
