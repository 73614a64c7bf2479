package identity

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// referenceHash is of the password "password" under the salt "somesalt", as the reference implementation of argon2
// prints it (-id -t 2 -k 256 -p 1 -l 32).
const referenceHash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

// bcryptHash is of the password "allmine".
const bcryptHash = "$2a$04$LkL.zGUP7oHsru3Omq6OuOi5CM7lovOXMC08l7JUzfVHa4iWtm8pa"

func TestParseHash(t *testing.T) {
	for _, encoded := range []string{
		referenceHash,
		bcryptHash,
		strings.Replace(bcryptHash, "$2a$", "$2b$", 1),
		strings.Replace(bcryptHash, "$2a$", "$2y$", 1),
	} {
		s, err := parseHash(encoded)
		if err != nil {
			t.Errorf("parseHash(%q): %v", encoded, err)
			continue
		}
		if got := s.String(); got != encoded {
			t.Errorf("String() = %q, want %q", got, encoded)
		}
	}
}

func TestParseHashRefuses(t *testing.T) {
	argon := func(old, with string) string { return replaced(t, referenceHash, old, with) }
	bc := func(old, with string) string { return replaced(t, bcryptHash, old, with) }
	for name, encoded := range map[string]string{
		"empty":               "",
		"plain text":          "password",
		"argon2i":             argon("$argon2id$", "$argon2i$"),
		"argon2d":             argon("$argon2id$", "$argon2d$"),
		"upper case":          argon("$argon2id$", "$ARGON2ID$"),
		"old version":         argon("v=19", "v=16"),
		"version missing":     argon("$v=19", ""),
		"4 GiB":               argon("m=256", "m=4194304"),
		"just too much":       argon("m=256", "m=262145"),
		"memory overflows":    argon("m=256", "m=4294967552"),
		"memory below 8p":     argon("m=256", "m=7"),
		"no memory":           argon("m=256", "m=0"),
		"too many passes":     argon("t=2", "t=17"),
		"no pass":             argon("t=2", "t=0"),
		"too many lanes":      argon("p=1", "p=17"),
		"lanes overflow":      argon("p=1", "p=257"),
		"no lane":             argon("p=1", "p=0"),
		"leading zero":        argon("t=2", "t=02"),
		"plus sign":           argon("t=2", "t=+2"),
		"negative":            argon("t=2", "t=-2"),
		"hexadecimal":         argon("t=2", "t=0x2"),
		"space":               argon("t=2", "t= 2"),
		"cost without digits": argon("t=2", "t="),
		"costs swapped":       argon("m=256,t=2", "t=2,m=256"),
		"cost twice":          argon("t=2", "t=2,t=2"),
		"keyid":               argon("p=1", "p=1,keyid=AA"),
		"short salt":          argon("c29tZXNhbHQ", "c29tZXNhbA"),
		"no salt":             argon("c29tZXNhbHQ", ""),
		"padded salt":         argon("c29tZXNhbHQ", "c29tZXNhbHQ="),
		"salt's spare bits":   argon("c29tZXNhbHQ", "c29tZXNhbHR"),
		"line break in salt":  argon("c29tZXNhbHQ", "c29t\nZXNhbHQ"),
		"URL alphabet":        argon("c29tZXNhbHQ", "c29tZXNh_-_-"),
		"short key":           argon("nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "nf65EOgLrQMR/uIPnA4r"),
		"no key":              argon("$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", ""),
		"field after the key": referenceHash + "$",
		"line break after":    referenceHash + "\n",
		"endless":             referenceHash + strings.Repeat("A", 1<<20),
		"bcrypt kind":         bc("$2a$", "$2x$"),
		"bcrypt cost 15":      bc("$04$", "$15$"),
		"bcrypt cost 31":      bc("$04$", "$31$"),
		"bcrypt cost 3":       bc("$04$", "$03$"),
		"bcrypt cost +4":      bc("$04$", "$+4$"),
		"bcrypt cost -4":      bc("$04$", "$-4$"),
		"bcrypt layout":       bc("$04$", "$04."),
		"bcrypt alphabet":     bc("LkL.z", "LkL.="),
		"bcrypt cut":          bcryptHash[:59],
		"bcrypt long":         bcryptHash + "a",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseHash(encoded)
			if !errors.Is(err, ErrHash) {
				t.Fatalf("parseHash: error %v, want ErrHash", err)
			}
			if key := "nf65EOgLrQMR/uIPnA4rEsF"; strings.Contains(err.Error(), key) {
				t.Errorf("the error quotes the hash: %v", err)
			}
		})
	}
}

func TestDecoyKeepsKindAndCost(t *testing.T) {
	for _, encoded := range []string{referenceHash, bcryptHash} {
		s, err := parseHash(encoded)
		if err != nil {
			t.Fatal(err)
		}
		d, err := parseHash(s.decoy().String())
		if err != nil {
			t.Fatalf("the decoy of %q cannot be parsed: %v", encoded, err)
		}
		if d.params != s.params || d.bcryptCost != s.bcryptCost || len(d.salt) != len(s.salt) || len(d.key) != len(s.key) {
			t.Errorf("the decoy of %q costs otherwise: %q", encoded, d)
		}
		if s.String() != encoded {
			t.Errorf("making a decoy changed the hash")
		}
	}
	// A malformed decoy would be refused in a microsecond and give the account's absence away.
	s, err := parseHash(bcryptHash)
	if err != nil {
		t.Fatal(err)
	}
	err = bcrypt.CompareHashAndPassword(s.decoy().bcrypt, []byte("allmine"))
	if !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		t.Errorf("bcrypt on the decoy: error %v, want a mismatch", err)
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(referenceHash)
	f.Add(bcryptHash)
	f.Add("$argon2id$v=19$m=4294967296,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29t\rZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, encoded string) {
		s, err := parseHash(encoded)
		if err != nil {
			if !errors.Is(err, ErrHash) {
				t.Fatalf("error %v does not wrap ErrHash", err)
			}
			return
		}
		if got := s.String(); got != encoded {
			t.Fatalf("two spellings of one hash: %q and %q", encoded, got)
		}
		if s.bcrypt == nil {
			if err := s.params.Validate(); err != nil {
				t.Fatalf("accepted costs out of range: %v", err)
			}
		} else if s.bcryptCost > maxBcryptCost {
			t.Fatalf("accepted bcrypt cost %d", s.bcryptCost)
		}
		if _, err := parseHash(s.decoy().String()); err != nil {
			t.Fatalf("the decoy cannot be parsed: %v", err)
		}
	})
}

func replaced(t *testing.T, s, old, with string) string {
	t.Helper()
	if !strings.Contains(s, old) {
		t.Fatalf("%q does not contain %q", s, old)
	}
	return strings.Replace(s, old, with, 1)
}
