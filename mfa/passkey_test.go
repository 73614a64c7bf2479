package mfa_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/mfatest"
)

func TestPasskeyAlone(t *testing.T) {
	w := newWorld(t)
	a, added := w.enrolPasskey(alice)
	w.enrolPasskey(bob)
	passed, err := w.passBy(a)
	if err != nil || passed.Subject != alice || passed.FactorID != added.Factor.ID || !slices.Equal(passed.AMR, []string{"swk", "user", "mfa"}) {
		t.Errorf("%+v, %v", passed, err)
	}
	w.want("again, with a new challenge", w.loginBy(a), nil)
	a.Step = 0
	w.want("a counter that stands still", w.loginBy(a), mfa.ErrCloned)

	uncounted := mfatest.NewAuthenticator(issuer)
	uncounted.Step = 0
	e, err := w.BeginPasskey(t.Context(), alice, "alice")
	must(t, err)
	answer, err := uncounted.Create(e.Options)
	must(t, err)
	_, err = w.FinishPasskey(t.Context(), alice, e.State, answer, "")
	must(t, err)
	w.want("one that does not count", w.loginBy(uncounted), nil)
	w.want("one that does not count", w.loginBy(uncounted), nil)
}

// What the browser is asked for keeps the promise that a passkey alone is two factors.
func TestPasskeyOptions(t *testing.T) {
	w := newWorld(t)
	first, _ := w.enrolPasskey(alice)
	e, err := w.BeginPasskey(t.Context(), alice, "Alice")
	must(t, err)
	var creation struct {
		PublicKey struct {
			RP                     struct{ ID, Name string }
			User                   struct{ ID, Name, DisplayName string }
			Attestation            string
			AuthenticatorSelection struct {
				ResidentKey, UserVerification string
				RequireResidentKey            bool
			}
			ExcludeCredentials []struct{ ID string }
		}
	}
	must(t, json.Unmarshal(e.Options, &creation))
	o := creation.PublicKey
	if o.RP.ID != "login.example.com" || o.User.Name != "Alice" || o.AuthenticatorSelection.ResidentKey != "required" ||
		!o.AuthenticatorSelection.RequireResidentKey || o.AuthenticatorSelection.UserVerification != "required" ||
		len(o.ExcludeCredentials) != 1 || strings.Contains(o.User.ID, alice) {
		t.Errorf("%+v", o)
	}
	_, options, err := w.BeginLogin(t.Context())
	must(t, err)
	if !bytes.Contains(options, []byte(`"userVerification":"required"`)) || bytes.Contains(options, []byte("allowCredentials")) {
		t.Errorf("%s", options)
	}
	wanted, err := w.Wanted(t.Context(), alice)
	must(t, err)
	if !bytes.Contains(wanted.Options, []byte(`"allowCredentials":[{`)) || !bytes.Contains(wanted.Options, []byte(wanted.Challenge)) {
		t.Errorf("%s", wanted.Options)
	}
	answer, err := first.Get(wanted.Options)
	must(t, err)
	passed, err := w.Check(t.Context(), alice, mfa.Presented{Assertion: answer, Challenge: wanted.Challenge})
	if err != nil || !slices.Equal(passed.AMR, []string{"swk", "user"}) {
		t.Errorf("as a second factor: %+v, %v", passed, err)
	}
}

// Whatever is not quite right about an assertion.
func TestAssertionRefused(t *testing.T) {
	w := newWorld(t)
	good, _ := w.enrolPasskey(alice)
	bobs, _ := w.enrolPasskey(bob)
	for name, change := range map[string]func(*mfatest.Authenticator){
		"a page of another origin":   func(a *mfatest.Authenticator) { a.Origin = "https://login.example.com.evil.example" },
		"a page without TLS":         func(a *mfatest.Authenticator) { a.Origin = "http://login.example.com" },
		"a page on another port":     func(a *mfatest.Authenticator) { a.Origin = "https://login.example.com:8443" },
		"a page of a sub-domain":     func(a *mfatest.Authenticator) { a.Origin = "https://x.login.example.com" },
		"another relying party":      func(a *mfatest.Authenticator) { a.RPID = "evil.example" },
		"the parent domain":          func(a *mfatest.Authenticator) { a.RPID = "example.com" },
		"a user who is not verified": func(a *mfatest.Authenticator) { a.Unverified = true },
		"a counter that goes back":   func(a *mfatest.Authenticator) { a.Counter = 0; a.Step = 0 },
	} {
		a := good.Clone()
		a.Counter += 1000
		change(a)
		w.want(name, w.loginBy(a), mfa.ErrWrong)
	}
	w.want("the good one", w.loginBy(good), nil)

	// As a second factor the password is what verified the user.
	unverified := good.Clone()
	unverified.Unverified = true
	wanted, err := w.Wanted(t.Context(), alice)
	must(t, err)
	answer, err := unverified.Get(wanted.Options)
	must(t, err)
	passed, err := w.Check(t.Context(), alice, mfa.Presented{Assertion: answer, Challenge: wanted.Challenge})
	if err != nil || !slices.Equal(passed.AMR, []string{"swk"}) {
		t.Errorf("an unverified user as the second factor: %+v, %v", passed, err)
	}
	w.want("the same answer", w.check(alice, mfa.Presented{Assertion: answer, Challenge: wanted.Challenge}), mfa.ErrWrong)
	answer, err = bobs.Get(wanted.Options)
	must(t, err)
	w.want("somebody else's passkey", w.check(alice, mfa.Presented{Assertion: answer, Challenge: wanted.Challenge}), mfa.ErrWrong)
	w.want("no challenge", w.check(alice, mfa.Presented{Assertion: answer}), mfa.ErrWrong)
	w.want("no JSON", w.check(alice, mfa.Presented{Assertion: []byte("x"), Challenge: wanted.Challenge}), mfa.ErrWrong)

	_, err = w.Reset(t.Context(), alice)
	must(t, err)
	w.want("a passkey that was removed", w.loginBy(unverified), mfa.ErrWrong)
}

// A challenge is good once, for a while, and for what it was made.
func TestChallengeIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	a, _ := w.enrolPasskey(alice)
	a.Step, a.Counter = 0, 1 // so that only the challenge can tell
	_, err := w.Reset(t.Context(), alice)
	must(t, err)
	a = mfatest.NewAuthenticator(issuer)
	a.Step = 0
	e, err := w.BeginPasskey(t.Context(), alice, "alice")
	must(t, err)
	created, err := a.Create(e.Options)
	must(t, err)
	_, err = w.FinishPasskey(t.Context(), bob, e.State, created, "")
	w.want("a registration of somebody else", err, mfa.ErrState)
	added, err := w.FinishPasskey(t.Context(), alice, e.State, created, "")
	must(t, err)
	must(t, w.Remove(t.Context(), alice, added.Factor.ID, false))
	_, err = w.FinishPasskey(t.Context(), alice, e.State, created, "")
	w.want("a registration again", err, mfa.ErrState)

	e, err = w.BeginPasskey(t.Context(), alice, "alice")
	must(t, err)
	created, err = a.Create(e.Options)
	must(t, err)
	_, err = w.FinishPasskey(t.Context(), alice, e.State, created, "")
	must(t, err)

	state, options, err := w.BeginLogin(t.Context())
	must(t, err)
	answer, err := a.Get(options)
	must(t, err)
	other, _, err := w.BeginLogin(t.Context())
	must(t, err)
	_, err = w.FinishLogin(t.Context(), other, answer)
	w.want("the state of another login", err, mfa.ErrWrong)
	_, err = w.FinishLogin(t.Context(), e.State, answer)
	w.want("the state of a registration", err, mfa.ErrState)
	_, err = w.FinishLogin(t.Context(), state, answer)
	must(t, err)
	_, err = w.FinishLogin(t.Context(), state, answer)
	w.want("a login again", err, mfa.ErrState)

	state, options, err = w.BeginLogin(t.Context())
	must(t, err)
	answer, err = a.Get(options)
	must(t, err)
	w.clock.forward(mfa.LoginLife)
	_, err = w.FinishLogin(t.Context(), state, answer)
	w.want("a login too late", err, mfa.ErrState)
}

// A registration is as strict as a login.
func TestRegistrationRefused(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*mfatest.Authenticator){
		"another origin":             func(a *mfatest.Authenticator) { a.Origin = "https://evil.example" },
		"another relying party":      func(a *mfatest.Authenticator) { a.RPID = "evil.example" },
		"a user who is not verified": func(a *mfatest.Authenticator) { a.Unverified = true },
	} {
		a := mfatest.NewAuthenticator(issuer)
		change(a)
		e, err := w.BeginPasskey(t.Context(), alice, "alice")
		must(t, err)
		answer, err := a.Create(e.Options)
		must(t, err)
		_, err = w.FinishPasskey(t.Context(), alice, e.State, answer, "")
		w.want(name, err, mfa.ErrWrong)
	}
	e, err := w.BeginPasskey(t.Context(), alice, "alice")
	must(t, err)
	answer, err := mfatest.NewAuthenticator(issuer).Create(e.Options)
	must(t, err)
	_, err = w.FinishPasskey(t.Context(), alice, e.State, []byte("{}"), "")
	w.want("nothing", err, mfa.ErrWrong)
	w.clock.forward(mfa.EnrolmentLife + time.Second)
	_, err = w.FinishPasskey(t.Context(), alice, e.State, answer, "")
	w.want("too late", err, mfa.ErrState)
	if list, _ := w.Factors(t.Context(), alice); len(list.Factors) != 0 {
		t.Errorf("what was refused is there: %v", list)
	}
}

// An address has no passkeys; apps work as ever.
func TestIssuerWithoutPasskeys(t *testing.T) {
	w := newWorld(t)
	service, err := w.open("http://127.0.0.1:8080", master("a", 1))
	must(t, err)
	w.Service = service
	if w.HasPasskeys() {
		t.Error("it says that it has passkeys")
	}
	_, err = w.BeginPasskey(t.Context(), alice, "alice")
	w.want("registering", err, mfa.ErrNoPasskeys)
	_, _, err = w.BeginLogin(t.Context())
	w.want("logging in", err, mfa.ErrNoPasskeys)
	secret, _ := w.enrolApp(alice)
	w.want("an app", w.check(alice, mfa.Presented{Code: w.code(secret)}), nil)
	for _, name := range []string{"localhost", "login.example.com"} {
		if service, err := w.open("http://"+name+":8080", master("a", 1)); err != nil || !service.HasPasskeys() {
			t.Errorf("%s: has none, %v", name, err)
		}
	}
	for _, bad := range []string{"", "x", "https://login.example.com/path", "://"} {
		if _, err := w.open(bad, master("a", 1)); err == nil {
			t.Errorf("issuer %q was accepted", bad)
		}
	}
}
