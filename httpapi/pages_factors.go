package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skip2/go-qrcode"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi/web"
	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/mfa"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/token"
)

// Paths of the pages about factors.
const (
	pathFactors     = pathAccount + "/factors"
	pathLoginFactor = pathLogin + "/factor"
	pathLoginKey    = pathLogin + "/passkey"
	pathLoginEnrol  = pathLogin + "/enrol"
)

// passkeyScript is the one script of these pages.
const passkeyScript = "passkey.js"

func (p *public) factorPageRoutes() []*route {
	page := func(method, path, limit string, handle handler) *route {
		return &route{method: method, path: path, limit: limit, handle: handle, page: p.failPage, changes: true}
	}
	as := func(event audit.Type, r *route) *route {
		r.event = event
		return r
	}
	return []*route{
		as(audit.Login, page(http.MethodPost, pathLoginFactor, "login", p.factorForm)),
		as(audit.Login, page(http.MethodPost, pathLoginKey, "login", p.passkeyForm)),
		as(audit.Login, page(http.MethodPost, pathLoginEnrol, "login", p.enrolForm)),
		page(http.MethodGet, pathFactors, "pages", p.factorsPage),
		page(http.MethodGet, pathFactors+"/app", "pages", p.addAppPage),
		as(audit.FactorAdded, page(http.MethodPost, pathFactors+"/app", "pages", p.addAppForm)),
		page(http.MethodGet, pathFactors+"/passkey", "pages", p.addPasskeyPage),
		as(audit.FactorAdded, page(http.MethodPost, pathFactors+"/passkey", "pages", p.addPasskeyForm)),
		as(audit.FactorRemoved, page(http.MethodPost, pathFactors+"/remove", "pages", p.removeFactorForm)),
		page(http.MethodPost, pathFactors+"/codes", "pages", p.newCodesForm),
	}
}

// passkeyData is what the template "passkey" shows.
type passkeyData struct {
	Label, Options string
	Hidden         []web.Field
	NameField      *web.Field
}

func codeField(wrong string) web.Field {
	return web.Field{
		Name: "code", Label: "Code from your authenticator app", Autocomplete: "one-time-code", InputMode: "numeric", Max: 7, Error: wrong, Focus: wrong == "",
	}
}

// passkeyOffer is the login page's way in without a password; nil where there are no passkeys.
func (p *public) passkeyOffer(x *exchange, returnTo string) *passkeyData {
	if p.factors == nil || !p.factors.Factors.HasPasskeys() {
		return nil
	}
	state, options, err := p.factors.Factors.BeginLogin(x.ctx())
	if err != nil { // the password will do
		p.log.WarnContext(x.ctx(), "the login page offers no passkeys", "request_id", x.requestID, "err", err)
		return nil
	}
	return &passkeyData{
		Label: "Sign in with a passkey", Options: string(options),
		Hidden: []web.Field{{Name: "passkey_state", Value: state}, {Name: "return_to", Value: returnTo}},
	}
}

// factorData is what templates/factor.html shows.
type factorData struct {
	Error                    string
	Passkey                  *passkeyData
	Code, Recovery           bool
	CodeField, RecoveryField web.Field
	State, ReturnTo          string
}

// showFactor asks for the second factor of a login, with what was wrong the last time if r is not nil.
func (p *public) showFactor(x *exchange, wanted *secondFactor, returnTo string, r *refusal) error {
	if r == nil {
		x.happens("") // so far nobody has logged in
	}
	if wanted.Enrol {
		return p.showLoginEnrolment(x, wanted, returnTo)
	}
	data := factorData{
		State: wanted.State, ReturnTo: returnTo, CodeField: codeField(""),
		Code: slices.Contains(wanted.Kinds, mfa.TOTP), Recovery: slices.Contains(wanted.Kinds, mfa.RecoveryCode),
		RecoveryField: web.Field{Name: "recovery_code", Label: "Recovery code", Autocomplete: "off", Max: maxRecoveryCode},
	}
	page := web.Page{Name: "factor", Title: "One more step"}
	status := http.StatusOK
	if r != nil {
		status, page.Title, data.Error = r.status, "Error: "+page.Title, r.detail+r.whenAgain()
		data.CodeField.Focus = false
	}
	if len(wanted.Passkey) > 0 {
		page.Scripts = []string{passkeyScript}
		data.Passkey = &passkeyData{
			Label: "Use your passkey", Options: string(wanted.Passkey),
			Hidden: []web.Field{{Name: "login_state", Value: wanted.State}, {Name: "return_to", Value: returnTo}},
		}
	}
	page.Data = data
	return p.show(x, status, page)
}

// factorForm is POST /v1/login/factor for people.
func (p *public) factorForm(x *exchange) error {
	var state, passkey, returnTo string
	var presented mfa.Presented
	err := readForm(x,
		formField{"login_state", &state, maxFactorState}, formField{"return_to", &returnTo, maxBody}, formField{"code", &presented.Code, maxFactorCode},
		formField{"recovery_code", &presented.RecoveryCode, maxRecoveryCode}, formField{"passkey", &passkey, maxPasskey},
	)
	if err != nil {
		return err
	}
	presented.Assertion = []byte(passkey)
	returnTo = p.returnPath(returnTo)
	st, begin, err := p.resumeLogin(x, state, true)
	if err == nil && st.Enrol {
		err = mfa.ErrState
	}
	if err != nil {
		return p.loginAgain(x, returnTo, err)
	}
	grant, err := p.presentFactor(x, state, st, presented, begin)
	switch {
	case err == nil:
		return p.signIn(x, grant, returnTo)
	case errors.Is(err, mfa.ErrState):
		return p.loginAgain(x, returnTo, err)
	}
	r := p.refuse(x, err)
	who := session.Authentication{Account: identity.Account{Subject: st.Subject, Username: st.Username}, Time: time.Unix(st.Time, 0), AMR: st.AMR}
	var wanted *secondFactor
	if err := p.factors.more(x.ctx(), who, session.LoginRequest{ClientID: st.ClientID, Scope: st.Scope}); !errors.As(err, &wanted) {
		return p.loginAgain(x, returnTo, errors.Join(mfa.ErrState, err)) // the factors are gone
	}
	return p.showFactor(x, wanted, returnTo, r)
}

// loginAgain shows the login page with what was wrong.
func (p *public) loginAgain(x *exchange, returnTo string, err error) error {
	r := p.refuse(x, err)
	return p.showLogin(x, r.status, loginPurpose{returnTo: returnTo}, "", r)
}

// passkeyForm is POST /v1/login/passkey/finish for people.
func (p *public) passkeyForm(x *exchange) error {
	var state, passkey, returnTo string
	err := readForm(x,
		formField{"passkey_state", &state, maxFactorState}, formField{"passkey", &passkey, maxPasskey}, formField{"return_to", &returnTo, maxBody},
	)
	if err != nil {
		return err
	}
	returnTo = p.returnPath(returnTo)
	grant, err := p.passkeyLogin(x, state, []byte(passkey), session.BeginRequest{Address: x.RealIP(), UserAgent: x.Request().UserAgent()})
	if err != nil {
		return p.loginAgain(x, returnTo, err)
	}
	return p.signIn(x, grant, returnTo)
}

// appData is what templates/factor_app.html shows.
type appData struct {
	Error, Why                 string
	Secret                     string
	QR                         qrData
	CodeField, NameField       web.Field
	Enrolment, State, ReturnTo string
}

// qrData is a QR code as an SVG path over squares of 1.
type qrData struct {
	Size int
	Path string
}

func qrOf(text string) (qrData, error) {
	code, err := qrcode.New(text, qrcode.Medium)
	if err != nil {
		return qrData{}, err
	}
	bitmap := code.Bitmap()
	var path strings.Builder
	for y, row := range bitmap {
		for x, dark := range row {
			if dark {
				path.WriteString("M" + strconv.Itoa(x) + " " + strconv.Itoa(y) + "h1v1h-1z")
			}
		}
	}
	return qrData{len(bitmap), path.String()}, nil
}

// showApp shows what an authenticator app has to read, with what was wrong the last time if r is not nil.
func (p *public) showApp(x *exchange, e mfa.Enrolment, data appData, r *refusal) error {
	var err error
	if data.QR, err = qrOf(e.URI); err != nil {
		return err
	}
	data.Secret, data.Enrolment = grouped(e.Secret), e.State
	page := web.Page{Name: "factor_app", Title: "Add an authenticator app"}
	status, wrong := http.StatusOK, ""
	if r != nil {
		status, page.Title, wrong = r.status, "Error: "+page.Title, r.detail
	}
	data.CodeField = codeField(wrong)
	page.Data = data
	return p.show(x, status, page)
}

// grouped puts a blank after every four characters, for people who type.
func grouped(s string) string {
	var groups []string
	for part := range slices.Chunk([]byte(s), 4) {
		groups = append(groups, string(part))
	}
	return strings.Join(groups, " ")
}

const whyEnrol = "Your account must have a second factor. It takes a minute, once."

// showLoginEnrolment lets somebody who must have a factor, and has none, enrol one before going on.
func (p *public) showLoginEnrolment(x *exchange, wanted *secondFactor, returnTo string) error {
	st, err := p.factors.state(x.ctx(), wanted.State)
	if err != nil {
		return err
	}
	e, err := p.factors.Factors.BeginTOTP(x.ctx(), st.Subject, st.Username)
	if err != nil {
		return err
	}
	return p.showApp(x, e, appData{Why: whyEnrol, State: wanted.State, ReturnTo: returnTo}, nil)
}

func (p *public) enrolForm(x *exchange) error {
	var state, enrolment, code, returnTo string
	err := readForm(x,
		formField{"login_state", &state, maxFactorState}, formField{"enrolment", &enrolment, maxFactorState},
		formField{"code", &code, maxFactorCode}, formField{"return_to", &returnTo, maxBody},
	)
	if err != nil {
		return err
	}
	returnTo = p.returnPath(returnTo)
	added, grant, err := p.enrolAndBegin(x, state, enrolment, code, "", true)
	switch {
	case errors.Is(err, mfa.ErrWrong):
		r := p.refuse(x, err)
		st, err := p.factors.state(x.ctx(), state)
		if err != nil {
			return p.loginAgain(x, returnTo, err)
		}
		e, err := p.factors.Factors.ResumeTOTP(x.ctx(), st.Subject, enrolment, st.Username)
		if err != nil {
			return p.loginAgain(x, returnTo, err)
		}
		return p.showApp(x, e, appData{Why: whyEnrol, State: state, ReturnTo: returnTo}, r)
	case err != nil:
		return p.loginAgain(x, returnTo, err)
	}
	if err := p.endPrevious(x, grant); err != nil {
		return err
	}
	x.subject, x.session = grant.Session.Subject, grant.Session.ID.String()
	p.setCookies(x, grant.AccessToken, grant.ExpiresIn, grant.RefreshToken)
	return p.showCodes(x, grant.Session.Username, "Your authenticator app is added.", added.RecoveryCodes, returnTo)
}

// codesData is what templates/codes.html shows.
type codesData struct {
	Done, Next string
	Codes      []string
}

func (p *public) showCodes(x *exchange, username, done string, codes []string, next string) error {
	return p.show(x, http.StatusOK, web.Page{Name: "codes", Title: "Your recovery codes", User: username, Data: codesData{done, next, codes}})
}

// factorsData is what templates/factors.html shows.
type factorsData struct {
	Done, Error   string
	Factors       []mfa.Factor
	RecoveryCodes int
	Passkeys      bool
}

// factorsDone are the texts after something was done, by what the query names.
func factorsDone() map[string]string {
	return map[string]string{
		"app": "The authenticator app is added.", "passkey": "The passkey is added.", "removed": "It is removed.",
	}
}

func (p *public) factorsPage(x *exchange) error {
	claims, err := p.signedIn(x, pathFactors)
	if claims == nil || err != nil {
		return err
	}
	return p.showFactors(x, http.StatusOK, claims, "")
}

func (p *public) showFactors(x *exchange, status int, claims *token.Claims, wrong string) error {
	e, err := p.factors.Factors.Factors(x.ctx(), claims.Subject)
	if err != nil {
		return err
	}
	username, err := p.username(x, claims.Subject)
	if err != nil {
		return err
	}
	page := web.Page{Name: "factors", Title: "Second factors and passkeys", Wide: true, User: username, Data: factorsData{
		Done: factorsDone()[x.QueryParam("done")], Error: wrong, Factors: e.Factors, RecoveryCodes: e.RecoveryCodes,
		Passkeys: p.factors.Factors.HasPasskeys(),
	}}
	return p.show(x, status, page)
}

// changesFactors is mayChange for people: it sends whoever must prove more to the login page and returns nil.
func (p *public) changesFactors(x *exchange, back string) (claims *token.Claims, username string, err error) {
	claims, err = p.signedIn(x, back)
	if claims == nil || err != nil {
		return nil, "", err
	}
	e, err := p.factors.Factors.Factors(x.ctx(), claims.Subject)
	if err != nil {
		return nil, "", err
	}
	needs := len(e.Factors) > 0 && claims.ACR != session.TwoFactors
	if needs || p.now().Sub(claims.AuthTime) > recentLogin {
		purpose := loginPurpose{returnTo: back, reauth: true}
		if len(e.Factors) > 0 {
			purpose.acr = session.TwoFactors
		}
		x.happens("")
		return nil, "", redirect(x, pathLogin, purpose.query())
	}
	username, err = p.username(x, claims.Subject)
	return claims, username, err
}

func (p *public) addAppPage(x *exchange) error {
	claims, username, err := p.changesFactors(x, pathFactors+"/app")
	if claims == nil || err != nil {
		return err
	}
	e, err := p.factors.Factors.BeginTOTP(x.ctx(), claims.Subject, username)
	if err != nil {
		return err
	}
	return p.showApp(x, e, p.newApp(), nil)
}

func (p *public) newApp() appData {
	return appData{NameField: nameField("phone, for example")}
}

func nameField(hint string) web.Field {
	return web.Field{Name: "name", Label: "A name for it", Hint: hint, Optional: true, Autocomplete: "off", Max: 64}
}

func (p *public) addAppForm(x *exchange) error {
	var enrolment, code, name string
	err := readForm(x,
		formField{"enrolment", &enrolment, maxFactorState}, formField{"code", &code, maxFactorCode}, formField{"name", &name, maxFactorName},
	)
	if err != nil {
		return err
	}
	claims, username, err := p.changesFactors(x, pathFactors+"/app")
	if claims == nil || err != nil {
		return err
	}
	added, err := p.factors.Factors.ConfirmTOTP(x.ctx(), claims.Subject, enrolment, code, name)
	if errors.Is(err, mfa.ErrWrong) || errors.Is(err, mfa.ErrName) {
		r := p.refuse(x, err)
		e, err := p.factors.Factors.ResumeTOTP(x.ctx(), claims.Subject, enrolment, username)
		if err != nil {
			return err
		}
		return p.showApp(x, e, p.newApp(), r)
	}
	return p.factorAdded(x, claims, username, "app", added, err)
}

// factorAdded ends the addition of a factor.
func (p *public) factorAdded(x *exchange, claims *token.Claims, username, what string, added mfa.Added, err error) error {
	x.note("kind", what)
	switch {
	case err != nil:
		r := p.refuse(x, err)
		return p.showFactors(x, r.status, claims, r.detail)
	case len(added.RecoveryCodes) > 0:
		return p.showCodes(x, username, factorsDone()[what], added.RecoveryCodes, pathFactors)
	}
	return x.Redirect(http.StatusSeeOther, pathFactors+"?done="+what)
}

func (p *public) addPasskeyPage(x *exchange) error {
	claims, username, err := p.changesFactors(x, pathFactors+"/passkey")
	if claims == nil || err != nil {
		return err
	}
	e, err := p.factors.Factors.BeginPasskey(x.ctx(), claims.Subject, username)
	if err != nil {
		return err
	}
	name := nameField("laptop, for example")
	return p.show(x, http.StatusOK, web.Page{
		Name: "factor_passkey", Title: "Add a passkey", User: username, Scripts: []string{passkeyScript},
		Data: struct {
			Error   string
			Passkey passkeyData
		}{Passkey: passkeyData{
			Label: "Make a passkey", Options: string(e.Options),
			Hidden: []web.Field{{Name: "enrolment", Value: e.State}}, NameField: &name,
		}},
	})
}

func (p *public) addPasskeyForm(x *exchange) error {
	var enrolment, passkey, name string
	err := readForm(x,
		formField{"enrolment", &enrolment, 2 * maxFactorState}, formField{"passkey", &passkey, maxPasskey}, formField{"name", &name, maxFactorName},
	)
	if err != nil {
		return err
	}
	claims, username, err := p.changesFactors(x, pathFactors+"/passkey")
	if claims == nil || err != nil {
		return err
	}
	added, err := p.factors.Factors.FinishPasskey(x.ctx(), claims.Subject, enrolment, []byte(passkey), name)
	return p.factorAdded(x, claims, username, "passkey", added, err)
}

func (p *public) removeFactorForm(x *exchange) error {
	var id string
	if err := readForm(x, formField{"id", &id, 64}); err != nil {
		return err
	}
	claims, _, err := p.changesFactors(x, pathFactors)
	if claims == nil || err != nil {
		return err
	}
	keep, err := p.mustKeepOne(x, claims.Subject)
	if err == nil {
		err = p.factors.Factors.Remove(x.ctx(), claims.Subject, id, keep)
	}
	if err != nil {
		r := p.refuse(x, err)
		return p.showFactors(x, r.status, claims, r.detail)
	}
	return x.Redirect(http.StatusSeeOther, pathFactors+"?done=removed")
}

func (p *public) newCodesForm(x *exchange) error {
	claims, username, err := p.changesFactors(x, pathFactors)
	if claims == nil || err != nil {
		return err
	}
	codes, err := p.factors.Factors.NewRecoveryCodes(x.ctx(), claims.Subject)
	if err != nil {
		r := p.refuse(x, err)
		return p.showFactors(x, r.status, claims, r.detail)
	}
	return p.showCodes(x, username, "The old ones are worth nothing now.", codes, pathFactors)
}
