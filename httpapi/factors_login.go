package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Longest members of requests about factors, in bytes.
const (
	maxFactorState  = 4096
	maxFactorCode   = 32
	maxRecoveryCode = 64
	maxFactorName   = 256
	maxPasskey      = 16 << 10
)

// factorRequest is a factor that somebody presents.
type factorRequest struct {
	state, passkeyState string
	presented           mfa.Presented
	cookies             bool
}

func readFactor(x *exchange) (factorRequest, error) {
	var r factorRequest
	var passkey json.RawMessage
	err := readObject(x,
		field{Name: "login_state", Into: &r.state, Max: maxFactorState},
		field{Name: "code", Into: &r.presented.Code, Max: maxFactorCode},
		field{Name: "recovery_code", Into: &r.presented.RecoveryCode, Max: maxRecoveryCode},
		field{Name: "passkey", Into: &passkey, Max: maxPasskey},
		field{Name: "passkey_state", Into: &r.passkeyState, Max: maxFactorState},
		field{Name: "cookie", Into: &r.cookies},
	)
	if err != nil {
		return r, err
	}
	r.presented.Assertion = passkey
	given := 0
	for _, is := range []bool{r.presented.Code != "", r.presented.RecoveryCode != "", passkey != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		return r, badFields(fieldError{Field: "code", Detail: "exactly one of code, recovery_code and passkey is required"})
	}
	return r, nil
}

// loginFactor is the second half of a login; or, for somebody who is logged in, a step up.
func (p *public) loginFactor(x *exchange) error {
	r, err := readFactor(x)
	if err != nil {
		return err
	}
	if r.state == "" {
		return p.stepUp(x, r)
	}
	if r.passkeyState != "" {
		return badFields(fieldError{Field: "passkey_state", Detail: "not together with login_state"})
	}
	st, begin, err := p.resumeLogin(x, r.state, r.cookies)
	if err != nil {
		return err
	}
	if st.Enrol {
		return mfa.ErrState
	}
	grant, err := p.presentFactor(x, r.state, st, r.presented, begin)
	if err != nil {
		return grantError(err)
	}
	return p.handOver(x, grant, r.cookies)
}

// resumeLogin opens the state of a login. A session that is to be bound to a key needs a proof of that very key again.
func (p *public) resumeLogin(x *exchange, text string, cookies bool) (loginState, session.BeginRequest, error) {
	begin := session.BeginRequest{Address: x.RealIP(), UserAgent: x.Request().UserAgent()}
	proof, err := p.loginProof(x, cookies)
	if err != nil {
		return loginState{}, begin, err
	}
	st, err := p.factors.state(x.ctx(), text)
	if err != nil {
		return loginState{}, begin, err
	}
	x.subject = st.Subject
	thumbprint := ""
	if proof != nil {
		thumbprint = proof.Thumbprint
	}
	if thumbprint != st.Thumbprint {
		return loginState{}, begin, &refusal{
			status: http.StatusBadRequest, code: codeInvalidProof, cause: session.ErrProof,
			detail: "The login wants a DPoP proof of the key that came with the password, and none if none came.",
		}
	}
	begin.Proof = proof
	return st, begin, nil
}

// presentFactor checks the second factor of a login and begins its session. A factor that is wrong counts as a login that
// has failed, for the account and for the address.
func (p *public) presentFactor(x *exchange, text string, st loginState, presented mfa.Presented, begin session.BeginRequest) (session.Grant, error) {
	presented.Challenge = st.Challenge
	grant, known, err := guarded(p, x, st.Username, func(ctx context.Context) (session.Grant, error) {
		passed, err := p.factors.Factors.Check(ctx, st.Subject, presented)
		if err != nil {
			return session.Grant{}, wrongFactor(err)
		}
		return p.factors.goOn(ctx, text, st, begin, passed.AMR...)
	})
	p.metrics.logins.count(err)
	return p.recorded(x, grant, st.Username, st.ClientID, known, err)
}

// recorded tells the audit log how a login ended.
func (p *public) recorded(x *exchange, grant session.Grant, username, clientID string, known bool, err error) (session.Grant, error) {
	if err != nil {
		p.loginFailed(x, username, clientID)
		return session.Grant{}, err
	}
	if err := p.loggedIn(x, grant.Session, known); err != nil { // nobody has its tokens yet
		return session.Grant{}, errors.Join(err, p.cfg.Sessions.End(x.ctx(), grant.Session.Subject, grant.Session.ID))
	}
	return grant, nil
}

// stepUp gives somebody who is logged in, and who presents a factor, a new session in place of the old one.
func (p *public) stepUp(x *exchange, r factorRequest) error {
	old, err := p.current(x)
	if err != nil {
		return err
	}
	grant, err := p.stepUpSession(x, old, r)
	if err != nil {
		return err
	}
	return p.grant(x, grant, len(x.Request().Header["Authorization"]) == 0)
}

// currentSession is the session of a request's token.
type currentSession struct {
	session.Session
	claims *token.Claims
	raw    string // the token
}

// current authenticates the request and finds its session, which must be live.
func (p *public) current(x *exchange) (currentSession, error) {
	claims, err := p.authenticate(x)
	if err != nil {
		return currentSession{}, err
	}
	raw, bound := dpopToken(x.Request())
	if !bound {
		if raw, err = p.accessToken(x); err != nil {
			return currentSession{}, err
		}
	}
	list, err := p.cfg.Sessions.List(x.ctx(), claims.Subject)
	if err != nil {
		return currentSession{}, err
	}
	for _, s := range list {
		if s.ID.String() == claims.SessionID {
			return currentSession{s, claims, raw}, nil
		}
	}
	r := invalidToken("The access token belongs to no session.")
	return currentSession{}, &r
}

// stepUpSession checks the factor and begins the new session, with the methods of the old one and those of the factor.
func (p *public) stepUpSession(x *exchange, old currentSession, r factorRequest) (session.Grant, error) {
	f := p.factors
	if r.presented.Assertion != nil && r.passkeyState == "" {
		return session.Grant{}, badFields(fieldError{Field: "passkey_state", Detail: "missing"})
	}
	grant, known, err := guarded(p, x, old.Username, func(ctx context.Context) (session.Grant, error) {
		passed, err := f.present(ctx, old.Subject, r)
		if err != nil {
			return session.Grant{}, wrongFactor(err)
		}
		amr := slices.Concat(old.AMR, passed.AMR, []string{"mfa"})
		who, err := f.Sessions.Vouch(ctx, old.Subject, old.ClientID, amr...)
		if err != nil {
			return session.Grant{}, err
		}
		// A revocation that came before Vouch counts as one from before the check, so the token is looked at once more.
		if _, err := p.cfg.Verifier.VerifyUnproved(ctx, old.raw, nil); err != nil {
			return session.Grant{}, err
		}
		begin := session.BeginRequest{
			Parent: old.Parent, ClientID: old.ClientID, Scope: old.Scope, Address: x.RealIP(), UserAgent: x.Request().UserAgent(),
		}
		if old.KeyThumbprint != "" { // of which authenticate has seen a proof
			begin.Proof = &session.Proof{Thumbprint: old.KeyThumbprint}
		}
		return f.Sessions.Begin(ctx, who, begin)
	})
	if grant, err = p.recorded(x, grant, old.Username, old.ClientID, known, err); err != nil {
		return session.Grant{}, err
	}
	if err := p.cfg.Sessions.Logout(x.ctx(), old.Subject, old.ID, session.LogoutReplaced); err != nil {
		// Nobody holds the new session's tokens; without its end it would be a riddle in the person's list.
		return session.Grant{}, errors.Join(fmt.Errorf("ending the session that was replaced: %w", err),
			p.cfg.Sessions.End(x.ctx(), grant.Session.Subject, grant.Session.ID))
	}
	return grant, nil
}

// present checks the factor of somebody who is logged in. A passkey answers a challenge for whoever has one; it must be
// theirs.
func (f *factors) present(ctx context.Context, subject string, r factorRequest) (mfa.Passed, error) {
	if r.presented.Assertion == nil {
		return f.Factors.Check(ctx, subject, r.presented)
	}
	passed, err := f.Factors.FinishLogin(ctx, r.passkeyState, r.presented.Assertion)
	if err == nil && passed.Subject != subject {
		err = fmt.Errorf("%w: somebody else's passkey", mfa.ErrWrong)
	}
	return passed, err
}

// passkeyBody is the challenge of a login by a passkey.
type passkeyBody struct {
	State   string          `json:"passkey_state"`
	Passkey json.RawMessage `json:"passkey"` // argument of navigator.credentials.get
}

func (p *public) beginPasskeyLogin(x *exchange) error {
	if err := readObject(x); err != nil {
		return err
	}
	state, options, err := p.factors.Factors.BeginLogin(x.ctx())
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, passkeyBody{state, options})
}

// finishPasskeyLogin logs in whoever has the passkey. A failure counts for nobody: a signature cannot be guessed, and
// whose it should have been is what anybody could say.
func (p *public) finishPasskeyLogin(x *exchange) error {
	var state, clientID, scope string
	var passkey json.RawMessage
	var cookies bool
	err := readObject(x,
		field{Name: "passkey_state", Into: &state, Required: true, Max: maxFactorState},
		field{Name: "passkey", Into: &passkey, Required: true, Max: maxPasskey},
		field{Name: "cookie", Into: &cookies},
		field{Name: "client_id", Into: &clientID, Max: maxClientID},
		field{Name: "scope", Into: &scope, Max: maxScope},
	)
	if err == nil {
		err = p.checkClient(clientID, scope)
	}
	if err != nil {
		return err
	}
	proof, err := p.loginProof(x, cookies)
	if err != nil {
		return err
	}
	grant, err := p.passkeyLogin(x, state, passkey, session.BeginRequest{
		ClientID: clientID, Scope: scope, Address: x.RealIP(), UserAgent: x.Request().UserAgent(), Proof: proof,
	})
	if err != nil {
		return grantError(err)
	}
	return p.handOver(x, grant, cookies)
}

func (p *public) passkeyLogin(x *exchange, state string, answer []byte, begin session.BeginRequest) (session.Grant, error) {
	f := p.factors
	passed, err := f.Factors.FinishLogin(x.ctx(), state, answer)
	var who session.Authentication
	if err == nil {
		x.subject = passed.Subject
		who, err = f.Sessions.Vouch(x.ctx(), passed.Subject, begin.ClientID, passed.AMR...)
	}
	var grant session.Grant
	if err == nil {
		grant, err = f.Sessions.Begin(x.ctx(), who, begin)
	}
	p.metrics.logins.count(err)
	if err != nil {
		return session.Grant{}, err
	}
	return p.recorded(x, grant, grant.Session.Username, begin.ClientID, true, nil)
}
