package tokentest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Answer is what became of a case.
type Answer int

// The answers. Only Refused is right.
const (
	Refused  Answer = iota
	Accepted        // the request was let through, or the token called good
	Broken          // the verifier failed: a status of 500 or more, a panic, or no answer
	Skipped         // the case cannot be put to this verifier, as what carries it would make the good token of it
)

func (a Answer) String() string {
	return [...]string{"refused", "accepted", "broken", "skipped"}[a]
}

// patience is how long an answer may take. It tells a verifier that hangs, also on a slow machine.
const patience = 2 * time.Second

// Run asks a guarded handler about all cases; see [Try].
func Run(t testing.TB, target Target, guarded http.Handler) {
	t.Helper()
	Try(t, target, Handler(guarded))
}

// Handler asks a handler: a status below 300 is Accepted, one of 500 or more Broken.
func Handler(h http.Handler) func(Case) Answer {
	return func(c Case) Answer {
		if !c.InHeader() {
			return Skipped
		}
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		c.Apply(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return AnswerOf(w.Code)
	}
}

// AnswerOf is what an HTTP status says.
func AnswerOf(status int) Answer {
	switch {
	case status >= http.StatusInternalServerError:
		return Broken
	case status < http.StatusMultipleChoices:
		return Accepted
	}
	return Refused
}

// Try puts all cases to a verifier by ask, one after the other, and reports each that is not refused within two seconds.
// The good token must be accepted before, between and after them, which shows that the verifier lives and refuses the
// others for what was changed. Where target has no Canary, one is started, which nobody may visit. It returns how many
// cases were not skipped.
func Try(t testing.TB, target Target, ask func(Case) Answer) (asked int) {
	t.Helper()
	if target.Canary == "" {
		canary, err := NewCanary(target)
		if err != nil {
			t.Fatal(err)
		}
		defer canary.Close()
		defer func() {
			if n := canary.Visits(); n > 0 {
				t.Errorf("there were %d connections to where tokens lead", n)
			}
		}()
		target.Canary = canary.URL
	}
	cases, err := Cases(target)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if i%100 == 0 {
			tryGood(t, target, ask)
		}
		switch a := askInTime(t, c, ask); a {
		case Skipped:
			continue
		case Refused:
		default:
			t.Errorf("%s is %v (%s)", c.Name, a, c.RFC)
		}
		asked++
	}
	tryGood(t, target, ask)
	return asked
}

func tryGood(t testing.TB, target Target, ask func(Case) Answer) {
	t.Helper()
	if a := ask(GoodCase(target)); a != Accepted {
		t.Fatalf("the good token is %v", a)
	}
}

// GoodCase is no hostile case: the good token in a good request.
func GoodCase(target Target) Case {
	return Case{
		Name: "good", Token: target.Good, good: target.Good,
		Request: Request{Header: http.Header{"Authorization": {"Bearer " + target.Good}}},
	}
}

// askInTime asks, and once more if that took too long: a machine may stand still for a moment, but not for the same case
// twice.
func askInTime(t testing.TB, c Case, ask func(Case) Answer) Answer {
	t.Helper()
	begin := time.Now()
	a := ask(c)
	if time.Since(begin) < patience {
		return a
	}
	begin = time.Now()
	a = ask(c)
	if d := time.Since(begin); d >= patience {
		t.Errorf("%s took %v", c.Name, d)
	}
	return a
}

// InHeader tells whether the case is still hostile in a header field: HTTP drops white space around a field's value, and
// any number of spaces may follow the scheme (RFC 9110 sections 5.5 and 11.4), so what differs only in these is the good
// token there.
func (c Case) InHeader() bool {
	return c.Token == c.good && c.Name == "good" || strings.TrimRight(strings.TrimLeft(c.Token, " "), " \t") != c.good || c.good == ""
}

// InCookie moves the case's token into a cookie of that name. It is false for requests, and where the syntax of cookies
// makes the good token of it.
func (c Case) InCookie(name string) (Case, bool) {
	if c.Token == "" && c.Want == nil {
		return c, false
	}
	line := name + "=" + c.Token
	parsed := (&http.Request{Header: http.Header{"Cookie": {line}}}).CookiesNamed(name)
	if c.Name != "good" && len(parsed) == 1 && parsed[0].Value == c.good {
		return c, false
	}
	c.Request = Request{Header: http.Header{"Cookie": {line}}}
	return c, true
}

// Sendable tells whether HTTP/1.1 can carry the request's header fields as they are. The others can be put to a handler
// only in its own process.
func (c Case) Sendable() bool {
	for _, values := range c.Request.Header {
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return false
			}
		}
	}
	return true
}
