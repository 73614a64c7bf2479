package mfa_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/mfa/mfatest"
)

// A factor counts once it is confirmed, and comes with recovery codes, which are shown once.
func TestEnrol(t *testing.T) {
	w := newWorld(t)
	e, err := w.BeginTOTP(t.Context(), alice, "alice")
	must(t, err)
	if wanted, err := w.Wanted(t.Context(), alice); err != nil || len(wanted.Kinds) != 0 {
		t.Errorf("before it is confirmed %v is wanted, %v", wanted.Kinds, err)
	}
	added, err := w.ConfirmTOTP(t.Context(), alice, e.State, w.code(e.Secret), "")
	must(t, err)
	if len(added.RecoveryCodes) != mfa.RecoveryCodes || added.Factor.Name != "Authenticator app" || added.Factor.Kind != mfa.TOTP {
		t.Errorf("%+v", added)
	}
	wanted, err := w.Wanted(t.Context(), alice)
	must(t, err)
	if !slices.Equal(wanted.Kinds, []mfa.Kind{mfa.TOTP, mfa.RecoveryCode}) || wanted.Options != nil {
		t.Errorf("wanted: %+v", wanted)
	}
	w.clock.forward(time.Second)
	_, second := w.enrolPasskey(alice)
	if len(second.RecoveryCodes) != 0 {
		t.Error("the second factor has replaced the recovery codes")
	}
	if wanted, _ := w.Wanted(t.Context(), alice); !slices.Equal(wanted.Kinds, []mfa.Kind{mfa.Passkey, mfa.TOTP, mfa.RecoveryCode}) {
		t.Errorf("wanted: %v", wanted.Kinds)
	}
	list, err := w.Factors(t.Context(), alice)
	must(t, err)
	if len(list.Factors) != 2 || list.RecoveryCodes != mfa.RecoveryCodes || list.Factors[0].ID != added.Factor.ID {
		t.Errorf("%+v", list)
	}
	if list, _ := w.Factors(t.Context(), bob); len(list.Factors) != 0 {
		t.Errorf("bob has %v", list)
	}
	w.nothingLeaks(append(added.RecoveryCodes, e.Secret)...)
}

func TestConfirmRefuses(t *testing.T) {
	w := newWorld(t)
	e, err := w.BeginTOTP(t.Context(), alice, "alice")
	must(t, err)
	for name, c := range map[string]struct {
		subject, state, code, factor string
		want                         error
	}{
		"a wrong code":             {alice, e.State, "000000", "", mfa.ErrWrong},
		"words":                    {alice, e.State, "the code", "", mfa.ErrWrong},
		"somebody else":            {bob, e.State, w.code(e.Secret), "", mfa.ErrState},
		"a made-up state":          {alice, "nonsense", w.code(e.Secret), "", mfa.ErrState},
		"a name of two lines":      {alice, e.State, w.code(e.Secret), "a\nb", mfa.ErrName},
		"a name that is too long":  {alice, e.State, w.code(e.Secret), strings.Repeat("x", 65), mfa.ErrName},
		"a name that is not UTF-8": {alice, e.State, w.code(e.Secret), "\xff", mfa.ErrName},
	} {
		if w.code(e.Secret) == "000000" {
			w.clock.forward(30 * time.Second)
		}
		_, err := w.ConfirmTOTP(t.Context(), c.subject, c.state, c.code, c.factor)
		w.want(name, err, c.want)
	}
	again, err := w.ResumeTOTP(t.Context(), alice, e.State, "alice")
	if err != nil || again.Secret != e.Secret || again.URI != e.URI || again.State != e.State {
		t.Errorf("once more: %+v, %v", again, err)
	}
	_, err = w.ResumeTOTP(t.Context(), bob, e.State, "bob")
	w.want("once more for somebody else", err, mfa.ErrState)
	passkey, err := w.BeginPasskey(t.Context(), alice, "alice")
	must(t, err)
	_, err = w.ConfirmTOTP(t.Context(), alice, passkey.State, w.code(e.Secret), "")
	w.want("the state of a passkey", err, mfa.ErrState)
	_, err = w.ConfirmTOTP(t.Context(), alice, e.State, w.code(e.Secret), "")
	must(t, err)
	w.clock.forward(time.Minute)
	_, err = w.ConfirmTOTP(t.Context(), alice, e.State, w.code(e.Secret), "")
	w.want("twice", err, mfa.ErrExists)

	late, err := w.BeginTOTP(t.Context(), alice, "alice")
	must(t, err)
	w.clock.forward(mfa.EnrolmentLife)
	_, err = w.ConfirmTOTP(t.Context(), alice, late.State, w.code(late.Secret), "")
	w.want("too late", err, mfa.ErrState)
	if list, _ := w.Factors(t.Context(), alice); len(list.Factors) != 1 {
		t.Errorf("what was refused is there: %v", list)
	}
}

// A code works once, that of the enrolment included, and for one user.
func TestCode(t *testing.T) {
	w := newWorld(t)
	e, err := w.BeginTOTP(t.Context(), alice, "alice")
	must(t, err)
	code := w.code(e.Secret)
	_, err = w.ConfirmTOTP(t.Context(), alice, e.State, code, "")
	must(t, err)
	w.want("the code of the enrolment", w.check(alice, mfa.Presented{Code: code}), mfa.ErrWrong)
	bobs, _ := w.enrolApp(bob)

	w.clock.forward(30 * time.Second)
	code = w.code(e.Secret)
	w.want("alice's code for bob", w.check(bob, mfa.Presented{Code: code}), mfa.ErrWrong)
	w.want("bob's code for alice", w.check(alice, mfa.Presented{Code: w.code(bobs)}), mfa.ErrWrong)
	w.want("a code of nobody", w.check("sub-nobody", mfa.Presented{Code: code}), mfa.ErrWrong)
	passed, err := w.Check(t.Context(), alice, mfa.Presented{Code: code[:3] + " " + code[3:]})
	if err != nil || passed.Kind != mfa.TOTP || passed.Subject != alice || !slices.Equal(passed.AMR, []string{"otp"}) {
		t.Errorf("%+v, %v", passed, err)
	}
	w.want("the same code again", w.check(alice, mfa.Presented{Code: code}), mfa.ErrWrong)
	old, err := mfatest.Code(e.Secret, w.clock.t.Add(-30*time.Second))
	must(t, err)
	w.want("an earlier code", w.check(alice, mfa.Presented{Code: old}), mfa.ErrWrong)
	for _, ahead := range []time.Duration{60 * time.Second, -90 * time.Second} {
		far, err := mfatest.Code(e.Secret, w.clock.t.Add(ahead))
		must(t, err)
		w.want("a code of another time", w.check(alice, mfa.Presented{Code: far}), mfa.ErrWrong)
	}
	next, err := mfatest.Code(e.Secret, w.clock.t.Add(30*time.Second)) // of a clock that is ahead
	must(t, err)
	w.want("the next code", w.check(alice, mfa.Presented{Code: next}), nil)
	if list, _ := w.Factors(t.Context(), alice); !list.Factors[0].UsedAt.Equal(w.clock.t) {
		t.Errorf("last used at %v", list.Factors[0].UsedAt)
	}
	w.nothingLeaks(code, next, e.Secret)
}

func TestCheckWantsOneThing(t *testing.T) {
	w := newWorld(t)
	secret, added := w.enrolApp(alice)
	w.want("nothing", w.check(alice, mfa.Presented{}), mfa.ErrWrong)
	w.want("two things", w.check(alice, mfa.Presented{Code: w.code(secret), RecoveryCode: added.RecoveryCodes[0]}), mfa.ErrWrong)
	w.want("one of them, not used up", w.check(alice, mfa.Presented{Code: w.code(secret)}), nil)
	w.want("the other", w.check(alice, mfa.Presented{RecoveryCode: added.RecoveryCodes[0]}), nil)
}

// Of many who come with one code at once, one gets in.
func TestOneCodeManyAtOnce(t *testing.T) {
	w := newWorld(t)
	secret, added := w.enrolApp(alice)
	for name, p := range map[string]mfa.Presented{
		"code of an app": {Code: w.code(secret)}, "recovery code": {RecoveryCode: added.RecoveryCodes[3]},
	} {
		var wg sync.WaitGroup
		var in atomic.Int32
		for range 20 {
			wg.Go(func() {
				switch err := w.check(alice, p); {
				case err == nil:
					in.Add(1)
				case !errors.Is(err, mfa.ErrWrong):
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		wg.Wait()
		if n := in.Load(); n != 1 {
			t.Errorf("%s: %d got in", name, n)
		}
	}
}

func TestRecoveryCode(t *testing.T) {
	w := newWorld(t)
	_, added := w.enrolApp(alice)
	_, other := w.enrolApp(bob)
	codes := added.RecoveryCodes
	w.want("that of another user", w.check(alice, mfa.Presented{RecoveryCode: other.RecoveryCodes[0]}), mfa.ErrWrong)
	w.want("a made-up one", w.check(alice, mfa.Presented{RecoveryCode: "aaaa-bbbb-cccc-dddd"}), mfa.ErrWrong)
	passed, err := w.Check(t.Context(), alice, mfa.Presented{RecoveryCode: strings.ToUpper(strings.ReplaceAll(codes[0], "-", " "))})
	if err != nil || passed.Left != mfa.RecoveryCodes-1 || passed.Kind != mfa.RecoveryCode || !slices.Equal(passed.AMR, []string{"otp"}) {
		t.Errorf("%+v, %v", passed, err)
	}
	w.want("again", w.check(alice, mfa.Presented{RecoveryCode: codes[0]}), mfa.ErrWrong)
	renewed, err := w.NewRecoveryCodes(t.Context(), alice)
	must(t, err)
	w.want("one that was replaced", w.check(alice, mfa.Presented{RecoveryCode: codes[1]}), mfa.ErrWrong)
	w.want("a new one", w.check(alice, mfa.Presented{RecoveryCode: renewed[0]}), nil)
	seen := map[string]bool{}
	for _, code := range slices.Concat(codes, renewed, other.RecoveryCodes) {
		if seen[code] || len(code) != 19 {
			t.Errorf("code %q", code)
		}
		seen[code] = true
	}
	_, err = w.NewRecoveryCodes(t.Context(), "sub-nobody")
	w.want("for one without factors", err, mfa.ErrNotFound)
	w.nothingLeaks(slices.Concat(codes, renewed)...)
}

func TestRemoveAndReset(t *testing.T) {
	w := newWorld(t)
	secret, added := w.enrolApp(alice)
	id := added.Factor.ID
	must(t, w.Rename(t.Context(), alice, id, "  new phone "))
	if list, _ := w.Factors(t.Context(), alice); list.Factors[0].Name != "new phone" {
		t.Errorf("%+v", list)
	}
	w.want("no name", w.Rename(t.Context(), alice, id, " "), mfa.ErrName)
	w.want("somebody else's", w.Rename(t.Context(), bob, id, "x"), mfa.ErrNotFound)
	w.want("somebody else's", w.Remove(t.Context(), bob, id, false), mfa.ErrNotFound)
	w.want("the last, to be kept", w.Remove(t.Context(), alice, id, true), mfa.ErrConflict)
	must(t, w.Remove(t.Context(), alice, id, false))
	w.want("a code of what is gone", w.check(alice, mfa.Presented{Code: w.code(secret)}), mfa.ErrWrong)
	w.want("a recovery code after the last factor", w.check(alice, mfa.Presented{RecoveryCode: added.RecoveryCodes[0]}), mfa.ErrWrong)

	w.enrolApp(alice)
	w.enrolPasskey(alice)
	if n, err := w.Reset(t.Context(), alice); n != 2 || err != nil {
		t.Errorf("reset: %d, %v", n, err)
	}
	if wanted, _ := w.Wanted(t.Context(), alice); len(wanted.Kinds) != 0 {
		t.Errorf("after a reset %v is wanted", wanted.Kinds)
	}
}

func TestTooMany(t *testing.T) {
	w := newWorld(t)
	for range mfa.MaxFactors {
		w.enrolApp(alice)
	}
	e, err := w.BeginTOTP(t.Context(), alice, "alice")
	must(t, err)
	_, err = w.ConfirmTOTP(t.Context(), alice, e.State, w.code(e.Secret), "")
	w.want("one more", err, mfa.ErrTooMany)

	e, err = w.BeginTOTP(t.Context(), bob, "bob")
	must(t, err)
	_, err = w.ConfirmFirstTOTP(t.Context(), bob, e.State, w.code(e.Secret), "")
	w.want("the first", err, nil)
	e, err = w.BeginTOTP(t.Context(), bob, "bob")
	must(t, err)
	_, err = w.ConfirmFirstTOTP(t.Context(), bob, e.State, w.code(e.Secret), "")
	w.want("a first that is the second", err, mfa.ErrTooMany)
}

// The database has nothing that a thief could use, and another master key takes over without losing anything.
func TestSealedAtRest(t *testing.T) {
	w := newWorld(t)
	secret, added := w.enrolApp(alice)
	authenticator, _ := w.enrolPasskey(alice)
	must(t, w.store.Close())
	file, err := os.ReadFile(w.path)
	must(t, err)
	for _, plain := range append(slices.Clone(added.RecoveryCodes), secret) {
		if bytes.Contains(file, []byte(plain)) || bytes.Contains(file, []byte(strings.ReplaceAll(plain, "-", ""))) {
			t.Errorf("the file has %q", plain)
		}
	}
	w.reopen()
	a, b := master("a", 1), master("b", 2)
	for _, c := range []struct {
		masters []mfa.MasterKey
		want    string // in the error
	}{
		{[]mfa.MasterKey{b}, `"a", which was not given`},
		{[]mfa.MasterKey{master("a", 9)}, "seal is broken"},
		{nil, "master key is required"},
		{[]mfa.MasterKey{b, a}, ""}, // the key changes hands
		{[]mfa.MasterKey{a}, `"b", which was not given`},
		{[]mfa.MasterKey{b}, ""},
	} {
		service, err := w.open(issuer, c.masters...)
		if c.want == "" && err == nil {
			w.Service = service
		} else if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("opened with %v: %v, want %q", c.masters, err, c.want)
		}
	}
	w.want("a code under the new key", w.check(alice, mfa.Presented{Code: w.code(secret)}), nil)
	w.want("a recovery code", w.check(alice, mfa.Presented{RecoveryCode: added.RecoveryCodes[0]}), nil)
	w.want("the passkey", w.loginBy(authenticator), nil)
}

// Whoever can write to the database can neither make a factor somebody else's nor one his own.
func TestRowsCannotBeMoved(t *testing.T) {
	w := newWorld(t)
	secret, added := w.enrolApp(bob)
	file, err := sql.Open("sqlite", w.path)
	must(t, err)
	defer file.Close()
	for _, move := range []string{
		`UPDATE factors SET subject = 'sub-alice'`, `UPDATE factor_recovery_codes SET subject = 'sub-alice'`,
	} {
		_, err := file.ExecContext(t.Context(), move)
		must(t, err)
	}
	w.want("bob's app as alice's", w.check(alice, mfa.Presented{Code: w.code(secret)}), mfa.ErrWrong)
	w.want("bob's recovery code as alice's", w.check(alice, mfa.Presented{RecoveryCode: added.RecoveryCodes[0]}), mfa.ErrWrong)
	if wanted, err := w.Wanted(t.Context(), alice); err != nil || len(wanted.Kinds) == 0 {
		t.Errorf("a factor that cannot be read means that none is wanted: %v, %v", wanted, err)
	}
	if !strings.Contains(w.log.String(), "seal is broken") {
		t.Error("the log says nothing of the broken seal")
	}
}
