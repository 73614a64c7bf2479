package mfa

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// RFC 4226 appendix D.
func TestHOTPVectors(t *testing.T) {
	for counter, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		if got := hotp([]byte("12345678901234567890"), uint64(counter)); got != want {
			t.Errorf("counter %d: %s, want %s", counter, got, want)
		}
	}
}

// RFC 6238 appendix B, the last six of the eight digits there.
func TestTOTPVectors(t *testing.T) {
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := hotp([]byte("12345678901234567890"), uint64(totpStep(time.Unix(at, 0)))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// A code is accepted in its own step and the neighbours, and never at or before the last one used.
func TestTOTPMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), totpSecret, totpSecret).Draw(t, "secret")
		now := time.Unix(rapid.Int64Range(1e6, 1e10).Draw(t, "now"), 0)
		off := rapid.Int64Range(-3, 3).Draw(t, "off")
		used := totpStep(now) + rapid.Int64Range(-4, 3).Draw(t, "used")
		shown := totpStep(now) + off
		step, ok := totpMatch(secret, hotp(secret, uint64(shown)), now, used)
		want := off >= -totpWindow && off <= totpWindow && shown > used
		if want && (!ok || step > shown) || ok && (step <= used || hotp(secret, uint64(step)) != hotp(secret, uint64(shown))) {
			t.Fatalf("a code %d steps off, last used %d: %v, step %d", off, used-totpStep(now), ok, step-totpStep(now))
		}
		if !want && ok && step == shown {
			t.Fatalf("a code %d steps off, last used %d, was accepted", off, used-totpStep(now))
		}
	})
}

func TestCleanCode(t *testing.T) {
	for typed, want := range map[string]string{"123456": "123456", " 123 456 ": "123456", "000000": "000000"} {
		if got, ok := cleanCode(typed); got != want || !ok {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
	for _, typed := range []string{"", "12345", "1234567", "12345a", "-12345", "１２３４５６", "123456\n", "+12345", "0x1234"} {
		if got, ok := cleanCode(typed); ok {
			t.Errorf("%q was taken for %q", typed, got)
		}
	}
}

func TestURI(t *testing.T) {
	u, err := url.Parse(totpURI("login.example.com", "Anna Größe:x@example.com", []byte("12345678901234567890")))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/login.example.com:Anna Größe:x@example.com" ||
		q.Get("secret") != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || q.Get("issuer") != "login.example.com" ||
		q.Get("algorithm") != "SHA1" || q.Get("digits") != "6" || q.Get("period") != "30" || strings.Contains(u.String(), "+") {
		t.Errorf("%s", u)
	}
}

func TestRecoveryCodes(t *testing.T) {
	codes, err := newRecoveryCodes(zeros{})
	if err != nil || len(codes) != RecoveryCodes || codes[0] != "aaaa-aaaa-aaaa-aaaa" {
		t.Errorf("%v, %v", codes, err)
	}
	for typed, want := range map[string]string{
		"abcd-efgh-2345-67ab": "abcdefgh234567ab", "ABCDEFGH234567AB": "abcdefgh234567ab", " ab cd efgh 2345 67a8": "abcdefgh234567ab",
		"0000-1111-2222-3333": "oooollll22223333",
	} {
		if got, ok := cleanRecoveryCode(typed); got != want || !ok {
			t.Errorf("%q: %q, %v", typed, got, ok)
		}
	}
	for _, typed := range []string{"", "abcd", "abcd-efgh-2345-67a", "abcd-efgh-2345-67abc", "abcd-efgh-2345-67a9", "äbcd-efgh-2345-67"} {
		if got, ok := cleanRecoveryCode(typed); ok {
			t.Errorf("%q was taken for %q", typed, got)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Whatever is typed: no panic, and what is accepted is one spelling.
func FuzzTyped(f *testing.F) {
	for _, s := range []string{"", "123456", "123 456", "abcd-efgh-2345-67ab", "\x00", "é", strings.Repeat("a", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if code, ok := cleanCode(s); ok {
			if again, ok := cleanCode(code); !ok || again != code || len(code) != 6 {
				t.Errorf("%q became %q, then %q", s, code, again)
			}
		}
		if code, ok := cleanRecoveryCode(s); ok {
			if again, ok := cleanRecoveryCode(code); !ok || again != code || len(code) != 16 {
				t.Errorf("%q became %q, then %q", s, code, again)
			}
		}
	})
}
