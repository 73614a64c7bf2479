package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// recentLogin is how long ago somebody may have logged in who changes factors: as long as it takes to do so.
const recentLogin = 5 * time.Minute

// factorBody is one factor in its owner's list.
type factorBody struct {
	ID        string     `json:"id"`
	Kind      mfa.Kind   `json:"kind"`
	Name      string     `json:"name"`
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"last_used_at,omitempty"`
}

func bodyOf(f mfa.Factor) factorBody {
	b := factorBody{ID: f.ID, Kind: f.Kind, Name: f.Name, CreatedAt: f.CreatedAt.UTC()}
	if !f.UsedAt.IsZero() {
		used := f.UsedAt.UTC()
		b.UsedAt = &used
	}
	return b
}

// factorList is what somebody has enrolled.
type factorList struct {
	Factors       []factorBody `json:"factors"`
	RecoveryCodes int          `json:"recovery_codes"` // how many are left
	Passkeys      bool         `json:"passkeys"`       // whether this server can have any
}

func (p *public) listFactors(x *exchange) error {
	claims, err := p.authenticate(x)
	if err != nil {
		return err
	}
	e, err := p.factors.Factors.Factors(x.ctx(), claims.Subject)
	if err != nil {
		return err
	}
	body := factorList{Factors: make([]factorBody, len(e.Factors)), RecoveryCodes: e.RecoveryCodes, Passkeys: p.factors.Factors.HasPasskeys()}
	for i, f := range e.Factors {
		body.Factors[i] = bodyOf(f)
	}
	return x.JSON(http.StatusOK, body)
}

// mayChange authenticates somebody who changes factors: they must have logged in a moment ago, and with a second factor if
// they have one, or a stolen password, or a computer that was left alone, would be enough to take the factors away.
func (p *public) mayChange(x *exchange) (*token.Claims, error) {
	claims, err := p.authenticate(x)
	if err != nil {
		return nil, err
	}
	e, err := p.factors.Factors.Factors(x.ctx(), claims.Subject)
	if err != nil {
		return nil, err
	}
	acr := ""
	if len(e.Factors) > 0 {
		acr = session.TwoFactors
	}
	if p.now().Sub(claims.AuthTime) > recentLogin || acr != "" && claims.ACR != acr {
		return nil, insufficient(acr, recentLogin, dpopBound(x))
	}
	return claims, nil
}

func dpopBound(x *exchange) bool {
	_, bound := dpopToken(x.Request())
	return bound
}

// insufficient asks for a login of another kind or a more recent one (RFC 9470 section 3).
func insufficient(acr string, maxAge time.Duration, bound bool) *refusal {
	const detail = "This needs a login that is more recent or of another kind."
	c := challenge("insufficient_user_authentication", detail)
	if acr != "" {
		c += `, acr_values="` + acr + `"`
	}
	c += `, max_age="` + strconv.Itoa(int(maxAge/time.Second)) + `"`
	if bound {
		c = asDPoP(c)
	}
	return &refusal{status: http.StatusUnauthorized, code: codeInsufficientLogin, detail: detail, challenge: c}
}

// enrolmentBody is a factor that waits to be confirmed.
type enrolmentBody struct {
	Enrolment string          `json:"enrolment"`
	Secret    string          `json:"secret,omitempty"`
	URI       string          `json:"uri,omitempty"`
	Passkey   json.RawMessage `json:"passkey,omitempty"` // argument of navigator.credentials.create
}

// addedBody is a factor that counts from now on.
type addedBody struct {
	Factor        factorBody `json:"factor"`
	RecoveryCodes []string   `json:"recovery_codes,omitempty"`
	Grant         *grantBody `json:"grant,omitempty"` // of a login that waited for it
}

// beginTOTP is for somebody who is logged in, or whose login waits for a first factor.
func (p *public) beginTOTP(x *exchange) error {
	var state string
	if err := readObject(x, field{Name: "login_state", Into: &state, Max: maxFactorState}); err != nil {
		return err
	}
	subject, name, err := p.enrols(x, state)
	if err != nil {
		return err
	}
	e, err := p.factors.Factors.BeginTOTP(x.ctx(), subject, name)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, enrolmentBody{Enrolment: e.State, Secret: e.Secret, URI: e.URI})
}

// enrols tells who wants to enrol a factor, by the state of a login if there is one.
func (p *public) enrols(x *exchange, state string) (subject, name string, err error) {
	if state == "" {
		claims, err := p.mayChange(x)
		if err != nil {
			return "", "", err
		}
		name, err := p.username(x, claims.Subject)
		return claims.Subject, name, err
	}
	st, err := p.factors.state(x.ctx(), state)
	if err == nil && !st.Enrol {
		err = mfa.ErrState
	}
	x.subject = st.Subject
	return st.Subject, st.Username, err
}

func (p *public) confirmTOTP(x *exchange) error {
	var state, enrolment, code, name string
	var cookies bool
	err := readObject(x,
		field{Name: "enrolment", Into: &enrolment, Required: true, Max: maxFactorState},
		field{Name: "code", Into: &code, Required: true, Max: maxFactorCode},
		field{Name: "name", Into: &name, Max: maxFactorName},
		field{Name: "login_state", Into: &state, Max: maxFactorState},
		field{Name: "cookie", Into: &cookies},
	)
	if err != nil {
		return err
	}
	if state != "" {
		return p.enrolAndLogIn(x, state, enrolment, code, name, cookies)
	}
	subject, _, err := p.enrols(x, "")
	if err != nil {
		return err
	}
	added, err := p.factors.Factors.ConfirmTOTP(x.ctx(), subject, enrolment, code, name)
	x.note("kind", "totp")
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, addedBody{Factor: bodyOf(added.Factor), RecoveryCodes: added.RecoveryCodes})
}

// enrolAndLogIn confirms the first factor of a user who must have one, and ends the login that waited for it.
func (p *public) enrolAndLogIn(x *exchange, state, enrolment, code, name string, cookies bool) error {
	added, grant, err := p.enrolAndBegin(x, state, enrolment, code, name, cookies)
	if err != nil {
		return grantError(err)
	}
	body := p.grantBody(x, grant, cookies)
	return x.JSON(http.StatusCreated, addedBody{Factor: bodyOf(added.Factor), RecoveryCodes: added.RecoveryCodes, Grant: &body})
}

func (p *public) enrolAndBegin(x *exchange, state, enrolment, code, name string, cookies bool) (mfa.Added, session.Grant, error) {
	st, begin, err := p.resumeLogin(x, state, cookies)
	if err == nil && !st.Enrol {
		err = mfa.ErrState
	}
	if err != nil {
		return mfa.Added{}, session.Grant{}, err
	}
	added, err := p.factors.Factors.ConfirmFirstTOTP(x.ctx(), st.Subject, enrolment, code, name)
	if err != nil {
		return mfa.Added{}, session.Grant{}, err
	}
	grant, err := p.factors.goOn(x.ctx(), state, st, begin, "otp")
	p.metrics.logins.count(err)
	grant, err = p.recorded(x, grant, st.Username, st.ClientID, true, err)
	return added, grant, err
}

func (p *public) beginPasskey(x *exchange) error {
	if err := readObject(x); err != nil {
		return err
	}
	claims, err := p.mayChange(x)
	if err != nil {
		return err
	}
	name, err := p.username(x, claims.Subject)
	if err != nil {
		return err
	}
	e, err := p.factors.Factors.BeginPasskey(x.ctx(), claims.Subject, name)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, enrolmentBody{Enrolment: e.State, Passkey: e.Options})
}

func (p *public) confirmPasskey(x *exchange) error {
	var enrolment, name string
	var passkey json.RawMessage
	err := readObject(x,
		field{Name: "enrolment", Into: &enrolment, Required: true, Max: 2 * maxFactorState},
		field{Name: "passkey", Into: &passkey, Required: true, Max: maxPasskey},
		field{Name: "name", Into: &name, Max: maxFactorName},
	)
	if err != nil {
		return err
	}
	claims, err := p.mayChange(x)
	if err != nil {
		return err
	}
	added, err := p.factors.Factors.FinishPasskey(x.ctx(), claims.Subject, enrolment, passkey, name)
	x.note("kind", "passkey")
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, addedBody{Factor: bodyOf(added.Factor), RecoveryCodes: added.RecoveryCodes})
}

func (p *public) renameFactor(x *exchange) error {
	var name string
	if err := readObject(x, field{Name: "name", Into: &name, Required: true, Max: maxFactorName}); err != nil {
		return err
	}
	claims, err := p.mayChange(x)
	if err != nil {
		return err
	}
	if err := p.factors.Factors.Rename(x.ctx(), claims.Subject, x.Param("id"), name); err != nil {
		return err
	}
	return x.done()
}

func (p *public) removeFactor(x *exchange) error {
	claims, err := p.mayChange(x)
	if err != nil {
		return err
	}
	keep, err := p.mustKeepOne(x, claims.Subject)
	if err != nil {
		return err
	}
	if err := p.factors.Factors.Remove(x.ctx(), claims.Subject, x.Param("id"), keep); err != nil {
		return err
	}
	return x.done()
}

// mustKeepOne tells whether somebody may not remove the last factor.
func (p *public) mustKeepOne(x *exchange, subject string) (bool, error) {
	if p.factors.Required == nil || p.cfg.Accounts == nil {
		return false, nil
	}
	account, err := p.cfg.Accounts.Account(x.ctx(), subject)
	if err != nil {
		return false, fmt.Errorf("looking up the account: %w", err)
	}
	return p.factors.required(account), nil
}

func (p *public) newRecoveryCodes(x *exchange) error {
	if err := readObject(x); err != nil {
		return err
	}
	claims, err := p.mayChange(x)
	if err != nil {
		return err
	}
	codes, err := p.factors.Factors.NewRecoveryCodes(x.ctx(), claims.Subject)
	if err != nil {
		return err
	}
	return x.JSON(http.StatusCreated, map[string]any{"recovery_codes": codes})
}
