package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/adminapi"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/internal/seal"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/session"
)

// FactorConfig lets people have second factors, and asks for one at the login of those who do.
type FactorConfig struct {
	Factors  Factors         // required
	Sessions Authentications // required; the same service as PublicConfig.Sessions
	Seals    seal.Keys       // of the states of logins; required
	// Required tells who must have a factor. Nil: nobody must.
	Required func(identity.Account) bool
}

// Factors are everybody's second factors; see [mfa.Service].
type Factors interface {
	Factors(ctx context.Context, subject string) (mfa.Enrolled, error)
	Wanted(ctx context.Context, subject string) (mfa.Wanted, error)
	Check(ctx context.Context, subject string, p mfa.Presented) (mfa.Passed, error)
	Spend(ctx context.Context, value string, until time.Time) error

	HasPasskeys() bool
	BeginLogin(ctx context.Context) (state string, options []byte, err error)
	FinishLogin(ctx context.Context, state string, answer []byte) (mfa.Passed, error)

	BeginTOTP(ctx context.Context, subject, account string) (mfa.Enrolment, error)
	ResumeTOTP(ctx context.Context, subject, state, account string) (mfa.Enrolment, error)
	ConfirmTOTP(ctx context.Context, subject, state, code, name string) (mfa.Added, error)
	ConfirmFirstTOTP(ctx context.Context, subject, state, code, name string) (mfa.Added, error)
	BeginPasskey(ctx context.Context, subject, account string) (mfa.Enrolment, error)
	FinishPasskey(ctx context.Context, subject, state string, answer []byte, name string) (mfa.Added, error)
	Rename(ctx context.Context, subject, id, name string) error
	Remove(ctx context.Context, subject, id string, keep bool) error
	NewRecoveryCodes(ctx context.Context, subject string) ([]string, error)
}

// Authentications is the part of [session.Service] that a login in several steps needs.
type Authentications interface {
	Authenticate(ctx context.Context, username, password, clientID string) (session.Authentication, error)
	Vouch(ctx context.Context, subject, clientID string, amr ...string) (session.Authentication, error)
	Begin(ctx context.Context, who session.Authentication, r session.BeginRequest) (session.Grant, error)
}

// factors is what the handlers of second factors need; nil where there are none.
type factors struct {
	FactorConfig
	states *seal.Sealer // of logins that wait for a second factor
	now    func() time.Time
}

func newFactors(c *FactorConfig, now func() time.Time) (*factors, error) {
	if c == nil {
		return nil, nil
	}
	if c.Factors == nil || c.Sessions == nil || c.Seals == nil {
		return nil, errors.New("factors: factors, sessions and seals are required")
	}
	if now == nil {
		now = time.Now
	}
	return &factors{*c, seal.New("login that waits for a second factor", c.Seals, now), now}, nil
}

func (f *factors) required(a identity.Account) bool { return f.Required != nil && f.Required(a) }

// loginStateLife is how long a login waits for its second factor.
const loginStateLife = 5 * time.Minute

// loginState is a login whose password was right. It travels with the client, sealed.
type loginState struct {
	Subject    string   `json:"sub"`
	Username   string   `json:"name"`
	ClientID   string   `json:"client,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	Time       int64    `json:"time"` // of the password, Unix seconds
	AMR        []string `json:"amr"`
	Thumbprint string   `json:"jkt,omitempty"`       // of the key that the session is to be bound to
	Challenge  string   `json:"challenge,omitempty"` // for a passkey
	Enrol      bool     `json:"enrol,omitempty"`     // there is no factor, and there must be one
}

// errMoreWanted means that the password was right and is not enough.
var errMoreWanted = errors.New("a second factor is wanted")

// secondFactor is the errMoreWanted that says how to go on.
type secondFactor struct {
	State   string     // to be returned with the factor
	Kinds   []mfa.Kind // of which one is wanted
	Passkey []byte     // argument of navigator.credentials.get, as JSON; empty for a user without passkeys
	Enrol   bool       // there is no factor, and there must be one
}

func (*secondFactor) Error() string { return errMoreWanted.Error() }

func (*secondFactor) Unwrap() error { return errMoreWanted }

// secondFactorProblem is how an API client learns it.
type secondFactorProblem struct {
	adminapi.Problem
	LoginState string          `json:"login_state"`
	Factors    []mfa.Kind      `json:"factors"`
	Passkey    json.RawMessage `json:"passkey,omitempty"`
}

func (s *secondFactor) refusal() *refusal {
	r := &refusal{
		status: http.StatusUnauthorized, code: codeSecondFactor, challenge: challenge("", ""), cause: s,
		detail: "The password is right. Present one of the factors to /v1/login/factor, together with the login_state.",
	}
	if s.Enrol {
		r.code = codeFactorEnrolment
		r.detail = "The password is right, but this account must have a second factor. Enrol one with the login_state."
	}
	r.more = func(problem adminapi.Problem) any {
		kinds := s.Kinds
		if kinds == nil {
			kinds = []mfa.Kind{}
		}
		return secondFactorProblem{problem, s.State, kinds, s.Passkey}
	}
	return r
}

// logIn checks a password and begins a session, unless the user has second factors or must have one: then the error is
// a *secondFactor, and no session has begun. Factors are looked up once the password is known to be right, so that nobody
// else learns from the answer, or from how long it took, whether there are any.
func (p *public) logIn(ctx context.Context, r session.LoginRequest) (session.Grant, error) {
	f := p.factors
	if f == nil {
		return p.cfg.Sessions.Login(ctx, r)
	}
	who, err := f.Sessions.Authenticate(ctx, r.Username, r.Password, r.ClientID)
	if err != nil {
		return session.Grant{}, err
	}
	if err := f.more(ctx, who, r); err != nil {
		return session.Grant{}, err
	}
	return f.Sessions.Begin(ctx, who, session.BeginRequest{
		ClientID: r.ClientID, Scope: r.Scope, Address: r.Address, UserAgent: r.UserAgent, Proof: r.Proof,
	})
}

// more returns a *secondFactor for a user whose password is not enough.
func (f *factors) more(ctx context.Context, who session.Authentication, r session.LoginRequest) error {
	wanted, err := f.Factors.Wanted(ctx, who.Account.Subject)
	if err != nil {
		return fmt.Errorf("looking up factors: %w", err)
	}
	enrol := len(wanted.Kinds) == 0
	if enrol && !f.required(who.Account) {
		return nil
	}
	st := loginState{
		Subject: who.Account.Subject, Username: who.Account.Username, ClientID: r.ClientID, Scope: r.Scope,
		Time: who.Time.Unix(), AMR: who.AMR, Challenge: wanted.Challenge, Enrol: enrol,
	}
	if r.Proof != nil {
		st.Thumbprint = r.Proof.Thumbprint
	}
	text, err := f.states.Seal(ctx, st, loginStateLife)
	if err != nil {
		return err
	}
	return &secondFactor{State: text, Kinds: wanted.Kinds, Passkey: wanted.Options, Enrol: enrol}
}

// state opens the state of a login.
func (f *factors) state(ctx context.Context, text string) (loginState, error) {
	var st loginState
	err := f.states.Open(ctx, text, &st)
	if errors.Is(err, seal.ErrInvalid) {
		err = mfa.ErrState
	}
	return st, err
}

// goOn begins the session of a login whose factor was right, or that of a user who has just enrolled one. The state is used
// up. The account is looked at again, and a revocation since the password ends the session as it begins, as the time
// of the authentication is that of the password.
func (f *factors) goOn(ctx context.Context, text string, st loginState, r session.BeginRequest, amr ...string) (session.Grant, error) {
	who, err := f.Sessions.Vouch(ctx, st.Subject, st.ClientID, st.AMR...)
	if err != nil {
		return session.Grant{}, err
	}
	who.Time = time.Unix(st.Time, 0)
	if err := f.Factors.Spend(ctx, "login state "+text, f.now().Add(loginStateLife)); err != nil {
		return session.Grant{}, err
	}
	r.ClientID, r.Scope = st.ClientID, st.Scope
	return f.Sessions.Begin(ctx, who.With(append(slices.Clone(amr), "mfa")...), r)
}

// wrongFactor lets a factor that is wrong count as a login that has failed.
func wrongFactor(err error) error {
	if errors.Is(err, mfa.ErrWrong) {
		return fmt.Errorf("%w: %w", err, identity.ErrInvalidCredentials)
	}
	return err
}

func (p *public) factorRoutes() []*route {
	return []*route{
		{method: http.MethodPost, path: "/v1/login/factor", limit: "login", handle: p.loginFactor, changes: true, event: audit.Login},
		{method: http.MethodPost, path: "/v1/login/passkey/begin", limit: "login", handle: p.beginPasskeyLogin},
		{method: http.MethodPost, path: "/v1/login/passkey/finish", limit: "login", handle: p.finishPasskeyLogin, changes: true, event: audit.Login},

		{method: http.MethodGet, path: "/v1/factors", limit: "factors", handle: p.listFactors, quiet: true},
		{method: http.MethodPost, path: "/v1/factors/totp", limit: "factors", handle: p.beginTOTP},
		{method: http.MethodPost, path: "/v1/factors/totp/confirm", limit: "factors", handle: p.confirmTOTP, changes: true, event: audit.FactorAdded},
		{method: http.MethodPost, path: "/v1/factors/passkey", limit: "factors", handle: p.beginPasskey},
		{method: http.MethodPost, path: "/v1/factors/passkey/confirm", limit: "factors", handle: p.confirmPasskey, changes: true, event: audit.FactorAdded},
		{method: http.MethodPost, path: "/v1/factors/recovery-codes", limit: "factors", handle: p.newRecoveryCodes, changes: true},
		{method: http.MethodPut, path: "/v1/factors/:id", limit: "factors", handle: p.renameFactor, changes: true},
		{method: http.MethodDelete, path: "/v1/factors/:id", limit: "factors", handle: p.removeFactor, changes: true, event: audit.FactorRemoved},
	}
}
