package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/session"
)

// Longest members of requests, in bytes.
const (
	maxUsername     = 512
	maxPassword     = 1024
	maxClientID     = 128
	maxScope        = 1024
	maxRefreshToken = 512
)

func (p *public) login(x *exchange) error {
	var username, password, clientID, scope string
	var cookies bool
	err := readObject(x,
		field{Name: "username", Into: &username, Required: true, Max: maxUsername},
		field{Name: "password", Into: &password, Required: true, Max: maxPassword},
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
	grant, err := p.attempt(x, session.LoginRequest{
		Username: username, Password: password, ClientID: clientID, Scope: scope,
		Address: x.RealIP(), UserAgent: x.Request().UserAgent(), Proof: proof,
	})
	p.metrics.logins.count(err)
	if err != nil {
		return grantError(err)
	}
	return p.handOver(x, grant, cookies)
}

// handOver answers a login. In cookie mode the session that the browser had brought along ends: another takes its place.
func (p *public) handOver(x *exchange, g session.Grant, cookies bool) error {
	if cookies {
		if err := p.endPrevious(x, g); err != nil { // nobody will hold the tokens of the new one either
			return errors.Join(err, p.cfg.Sessions.End(x.ctx(), g.Session.Subject, g.Session.ID))
		}
	}
	return p.grant(x, g, cookies)
}

// checkClient refuses an ill-formed client id (RFC 6749 appendix A.1) and scopes that are not to be had.
func (p *public) checkClient(clientID, scope string) error {
	var faults []fieldError
	if strings.ContainsFunc(clientID, func(r rune) bool { return r < 0x20 || r > 0x7E }) {
		faults = append(faults, fieldError{Field: "client_id", Detail: "must be printable ASCII"})
	}
	if scope != "" {
		for s := range strings.SplitSeq(scope, " ") {
			if !slices.Contains(p.cfg.Scopes, s) {
				faults = append(faults, fieldError{Field: "scope", Detail: "names a scope that this server does not grant"})
				break
			}
		}
	}
	if len(faults) > 0 {
		return badFields(faults...)
	}
	return nil
}

func (p *public) refresh(x *exchange) error {
	var refreshToken string
	if err := readObject(x, field{Name: "refresh_token", Into: &refreshToken, Max: maxRefreshToken}); err != nil {
		return err
	}
	cookies := refreshToken == ""
	if cookies {
		var err error
		if refreshToken, err = cookie(x.Request(), refreshCookie); err != nil {
			return err
		}
	}
	if refreshToken == "" {
		return badFields(fieldError{Field: "refresh_token", Detail: "missing"})
	}
	proof, err := p.sessionProof(x)
	if err != nil {
		return err
	}
	grant, err := p.cfg.Sessions.Refresh(x.ctx(), refreshToken, session.Use{
		Address: x.RealIP(), UserAgent: x.Request().UserAgent(), Proof: proof,
	})
	p.metrics.refreshes.count(err)
	if err != nil {
		if cookies && errors.Is(err, session.ErrInvalidGrant) {
			clearCookies(x)
		}
		return grantError(err)
	}
	p.refreshed(x, grant)
	return p.grant(x, grant, cookies)
}

// grantBody is the answer to a login and a refresh; in cookie mode without the tokens.
type grantBody struct {
	AccessToken  string `json:"access_token,omitempty"`
	TokenType    string `json:"token_type,omitempty"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token,omitempty"`
	SessionID    string `json:"session_id"`
}

func (p *public) grant(x *exchange, g session.Grant, cookies bool) error {
	return x.JSON(http.StatusOK, p.grantBody(x, g, cookies))
}

// grantBody says whose session it is, sets the cookies if there are to be any, and returns the rest of the answer.
func (p *public) grantBody(x *exchange, g session.Grant, cookies bool) grantBody {
	x.subject, x.session = g.Session.Subject, g.Session.ID.String()
	body := grantBody{ExpiresIn: int64(g.ExpiresIn / time.Second), SessionID: g.Session.ID.String()}
	if cookies {
		p.setCookies(x, g.AccessToken, g.ExpiresIn, g.RefreshToken)
	} else {
		body.AccessToken, body.TokenType, body.RefreshToken = g.AccessToken, "Bearer", g.RefreshToken
		if g.Session.KeyThumbprint != "" {
			body.TokenType = "DPoP"
		}
	}
	return body
}

func (p *public) logout(x *exchange) error {
	scope := string(session.LogoutSession)
	if err := readObject(x, field{Name: "scope", Into: &scope}); err != nil {
		return err
	}
	which := session.LogoutScope(scope)
	switch which {
	case session.LogoutSession, session.LogoutOthers, session.LogoutAll:
	default:
		return badFields(fieldError{Field: "scope", Detail: "must be session, others or all"})
	}
	subject, id, err := p.whoLogsOut(x, which)
	if err != nil {
		return err
	}
	x.note("scope", scope)
	if err := p.cfg.Sessions.Logout(x.ctx(), subject, id, which); err != nil {
		return err
	}
	if err := p.audit.confirm(x); err != nil {
		return err
	}
	if which != session.LogoutOthers && len(x.Request().Cookies()) > 0 {
		clearCookies(x)
	}
	return x.done()
}

// whoLogsOut finds the session by its access token or, in a browser whose access cookie has expired, by its refresh
// cookie.
func (p *public) whoLogsOut(x *exchange, scope session.LogoutScope) (subject string, id session.ID, err error) {
	authenticate := p.authenticate
	if scope == session.LogoutSession {
		authenticate = p.authenticateToEnd
	}
	claims, err := authenticate(x)
	if err == nil {
		if id, err = session.ParseID(claims.SessionID); err != nil {
			return "", id, &refusal{
				status: http.StatusUnauthorized, code: codeInvalidToken, cause: err,
				challenge: challenge("invalid_token", "The access token belongs to no session."),
				detail:    "The access token belongs to no session.",
			}
		}
		return claims.Subject, id, nil
	}
	if len(x.Request().Header.Values("Authorization")) > 0 {
		return "", id, err
	}
	refreshToken, cookieErr := cookie(x.Request(), refreshCookie)
	if cookieErr != nil || refreshToken == "" {
		return "", id, err
	}
	s, _, err := p.cfg.Sessions.InspectRefreshToken(x.ctx(), refreshToken)
	if err != nil {
		if errors.Is(err, session.ErrInvalidGrant) {
			clearCookies(x)
		}
		return "", id, err
	}
	x.subject, x.session = s.Subject, s.ID.String()
	x.actsAs(audit.User, s.Subject)
	return s.Subject, s.ID, nil
}
