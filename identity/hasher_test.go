package identity

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// cheap keeps the tests fast; what they check does not depend on the cost.
var cheap = Params{Memory: 64, Time: 1, Threads: 1}

func newHasher(t testing.TB, c HasherConfig) *Hasher {
	t.Helper()
	h, err := NewHasher(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func mustHash(t testing.TB, h *Hasher, password string) string {
	t.Helper()
	encoded, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatalf("Hash(%q): %v", password, err)
	}
	return encoded
}

func TestHasherVerifiesForeignHashes(t *testing.T) {
	h := newHasher(t, HasherConfig{Params: cheap})
	for encoded, password := range map[string]string{referenceHash: "password", bcryptHash: "allmine"} {
		if ok, err := h.Verify(t.Context(), encoded, password); !ok || err != nil {
			t.Errorf("Verify(%q, %q) = %v, %v", encoded, password, ok, err)
		}
		if ok, err := h.Verify(t.Context(), encoded, password+"x"); ok || err != nil {
			t.Errorf("Verify(%q, %q) = %v, %v", encoded, password+"x", ok, err)
		}
	}
}

func TestHasherReadsTheWholePassword(t *testing.T) {
	h := newHasher(t, HasherConfig{Params: cheap})
	for name, password := range map[string]string{
		"short":       "a",
		"64":          strings.Repeat("x", 64),
		"longest":     strings.Repeat("x", MaxPasswordBytes),
		"spaces":      "  two  spaces  ",
		"NUL":         "before\x00after",
		"not Latin":   "пароль из нескольких слов",
		"supplement":  "🔑 opens 🚪",
		"line breaks": "a\r\nb",
	} {
		t.Run(name, func(t *testing.T) {
			encoded := mustHash(t, h, password)
			if ok, err := h.Verify(t.Context(), encoded, password); !ok || err != nil {
				t.Fatalf("Verify = %v, %v", ok, err)
			}
			for other, p := range map[string]string{
				"cut":           password[:len(password)-1],
				"last byte":     password[:len(password)-1] + "?",
				"longer":        password + "x",
				"leading space": " " + password,
				"trailing NUL":  password + "\x00",
				"up to a NUL":   strings.SplitAfter(password+"\x00", "\x00")[0],
				"other case":    strings.ToUpper(password),
				"empty":         "",
				"endless":       strings.Repeat("x", 1<<20),
				"broken UTF-8":  password + "\xff",
			} {
				if ok, err := h.Verify(t.Context(), encoded, p); ok || err != nil {
					t.Errorf("%s: Verify = %v, %v", other, ok, err)
				}
			}
		})
	}
}

// A bcrypt hash says nothing of what follows the 72nd byte, so that must not be accepted unseen.
func TestHasherDoesNotTruncateForBcrypt(t *testing.T) {
	const password72 = "012345678901234567890123456789012345678901234567890123456789012345678901"
	const hash72 = "$2a$04$Y1JS25ViOh/6b3S6EM2EKe/rO9UdqVBSvjGoEsRwOLtcwaqExBsza"
	h := newHasher(t, HasherConfig{Params: cheap})
	if ok, err := h.Verify(t.Context(), hash72, password72); !ok || err != nil {
		t.Errorf("72 bytes: Verify = %v, %v", ok, err)
	}
	if ok, err := h.Verify(t.Context(), hash72, password72+"!"); ok || err != nil {
		t.Errorf("73 bytes: Verify = %v, %v", ok, err)
	}
}

func TestHasherNormalizes(t *testing.T) {
	h := newHasher(t, HasherConfig{Params: cheap})
	for name, spelling := range map[string][2]string{
		"composed and decomposed": {"caf\u00e9 cr\u00e8me", "cafe\u0301 cre\u0300me"},
		"Hangul":                  {"\ud55c\uae00 \ube44\ubc00", "\u1112\u1161\u11ab\u1100\u1173\u11af \ube44\ubc00"},
		"full width":              {"secret123", "\uff53\uff45\uff43\uff52\uff45\uff54\uff11\uff12\uff13"},
	} {
		t.Run(name, func(t *testing.T) {
			ok, err := h.Verify(t.Context(), mustHash(t, h, spelling[0]), spelling[1])
			if !ok || err != nil {
				t.Errorf("Verify = %v, %v", ok, err)
			}
		})
	}
}

func TestHashRefuses(t *testing.T) {
	h := newHasher(t, HasherConfig{Params: cheap, OnHash: func(context.Context, HashEvent) { t.Error("a hash was computed") }})
	for name, password := range map[string]string{
		"empty":      "",
		"too long":   strings.Repeat("x", MaxPasswordBytes+1),
		"not UTF-8":  "sesame\xc3",
		"unassigned": "sesame\u0378",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := h.Hash(t.Context(), password); !errors.Is(err, ErrWeakPassword) {
				t.Errorf("Hash: error %v, want ErrWeakPassword", err)
			}
			if ok, err := h.Verify(t.Context(), referenceHash, password); ok || err != nil {
				t.Errorf("Verify = %v, %v", ok, err)
			}
		})
	}
}

func TestHashIsSalted(t *testing.T) {
	h := newHasher(t, HasherConfig{Params: cheap})
	if a, b := mustHash(t, h, "same"), mustHash(t, h, "same"); a == b {
		t.Errorf("two hashes of one password are equal: %s", a)
	}
	broken := newHasher(t, HasherConfig{Params: cheap, Rand: strings.NewReader("too short")})
	if _, err := broken.Hash(t.Context(), "password"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: error %v", err)
	}
}

// Whatever is asked, one hash is computed, at the cost of the stored one.
func TestVerifyComputesOneHash(t *testing.T) {
	var events []HashEvent
	h := newHasher(t, HasherConfig{Params: cheap, OnHash: func(_ context.Context, e HashEvent) { events = append(events, e) }})
	own := mustHash(t, h, "password")
	dearer := Params{Memory: 256, Time: 2, Threads: 1}
	for name, c := range map[string]struct {
		encoded, password string
		unusable          bool
		want              HashEvent
	}{
		"right":           {encoded: own, password: "password", want: HashEvent{Scheme: "argon2id", Params: cheap}},
		"wrong":           {encoded: own, password: "passwort", want: HashEvent{Scheme: "argon2id", Params: cheap}},
		"nothing stored":  {encoded: "", password: "password", want: HashEvent{Scheme: "argon2id", Params: cheap}},
		"decoy":           {encoded: h.Decoy(""), password: "password", want: HashEvent{Scheme: "argon2id", Params: cheap}},
		"decoy of dearer": {encoded: h.Decoy(referenceHash), password: "password", want: HashEvent{Scheme: "argon2id", Params: dearer}},
		"dearer":          {encoded: referenceHash, password: "passwort", want: HashEvent{Scheme: "argon2id", Params: dearer}},
		"bcrypt":          {encoded: bcryptHash, password: "password", want: HashEvent{Scheme: "bcrypt", Cost: 4}},
		"decoy of bcrypt": {encoded: h.Decoy(bcryptHash), password: "password", want: HashEvent{Scheme: "bcrypt", Cost: 4}},
		"unusable": {encoded: "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
			password: "password", unusable: true, want: HashEvent{Scheme: "argon2id", Params: cheap}},
	} {
		t.Run(name, func(t *testing.T) {
			events = nil
			ok, err := h.Verify(t.Context(), c.encoded, c.password)
			if ok != (name == "right") || errors.Is(err, ErrHash) != c.unusable || err != nil && !c.unusable {
				t.Errorf("Verify = %v, %v", ok, err)
			}
			if len(events) != 1 {
				t.Fatalf("%d hashes computed, want 1", len(events))
			}
			if events[0].Took <= 0 {
				t.Errorf("took %v", events[0].Took)
			}
			events[0].Took, events[0].Waited = 0, 0
			if events[0] != c.want {
				t.Errorf("computed %+v, want %+v", events[0], c.want)
			}
		})
	}
}

func TestOutdated(t *testing.T) {
	h := newHasher(t, HasherConfig{Params: cheap})
	current := mustHash(t, h, "password")
	shortSalt := replaced(t, referenceHash, "m=256,t=2", "m=64,t=1")
	for encoded, want := range map[string]bool{
		current: false, h.Decoy(""): false, referenceHash: true, bcryptHash: true, shortSalt: true, "rubbish": true,
		replaced(t, current, "m=64", "m=65"): true, replaced(t, current, "t=1", "t=2"): true,
	} {
		if got := h.Outdated(encoded); got != want {
			t.Errorf("Outdated(%q) = %v", encoded, got)
		}
	}
}

func TestHasherIsBusy(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	h := newHasher(t, HasherConfig{Params: cheap, Concurrency: 1, Queue: 1, Wait: time.Nanosecond,
		OnHash: func(context.Context, HashEvent) { held <- struct{}{}; <-release }})
	first := make(chan error)
	go func() { _, err := h.Hash(context.Background(), "password"); first <- err }()
	<-held
	if got, want := h.Stats(), (HasherStats{Running: 1}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
	if _, err := h.Hash(t.Context(), "password"); !errors.Is(err, ErrBusy) {
		t.Errorf("Hash: error %v, want ErrBusy", err)
	}
	if ok, err := h.Verify(t.Context(), referenceHash, "password"); ok || !errors.Is(err, ErrBusy) {
		t.Errorf("Verify = %v, %v, want ErrBusy", ok, err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Errorf("the one that ran: %v", err)
	}
	if got, want := h.Stats(), (HasherStats{Refused: 2}); got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
}

func TestNewHasherRefuses(t *testing.T) {
	for name, c := range map[string]HasherConfig{
		"memory beyond the bound": {Params: Params{Memory: 4 << 20, Time: 2, Threads: 1}},
		"memory below 8 a thread": {Params: Params{Memory: 31, Time: 2, Threads: 4}},
		"no memory":               {Params: Params{Time: 2, Threads: 1}},
		"no pass":                 {Params: Params{Memory: 64, Threads: 1}},
		"no thread":               {Params: Params{Memory: 64, Time: 1}},
		"negative concurrency":    {Concurrency: -1},
		"negative queue":          {Queue: -1},
		"negative wait":           {Wait: -1},
	} {
		if _, err := NewHasher(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := (Params{}).Validate(); err == nil || strings.Count(err.Error(), "argon2id") != 3 {
		t.Errorf("Validate reports %v, want three problems", err)
	}
}
