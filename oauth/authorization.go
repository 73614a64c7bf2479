package oauth

import (
	"strconv"
	"strings"
	"time"
)

// Authorization is a well-formed authorization request of a registered client.
type Authorization struct {
	Client      *Client
	RedirectURI string
	State       string
	Scope       string // as granted
	Nonce       string
	Challenge   string // PKCE, of the method S256
	// KeyThumbprint is of the key that the code is to be bound to (RFC 9449 section 10); empty for none.
	KeyThumbprint string

	Silent      bool           // prompt=none: nobody may be asked anything
	Reauthorize bool           // prompt=login or select_account: the user must authenticate again
	MaxAge      *time.Duration // since the user authenticated; nil for any
	ACR         string         // the level that is wanted; "" for any
	Hint        string         // id_token_hint, as it came
}

// Target is where the answer goes.
func (a *Authorization) Target() Target { return Target{a.RedirectURI, a.State} }

// Bounds of what a client sends along, in bytes.
const (
	maxState = 2048
	maxNonce = 512
)

// ParseAuthorization reads an authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1). Errors
// are of the type *Error: as long as client and redirect URI are not proven they have no target.
func ParseAuthorization(f Form, clients Clients) (*Authorization, error) {
	switch f.firstRepeated("client_id", "redirect_uri", "state") {
	case "":
	case "state":
		return nil, refuse(InvalidRequest, "state was given twice")
	default:
		return nil, refuse(InvalidRequest, "client_id or redirect_uri was given twice")
	}
	client := clients.Client(f.Get("client_id"))
	if client == nil {
		return nil, refuse(InvalidRequest, "client_id names no client that is registered here")
	}
	a := &Authorization{Client: client, RedirectURI: f.Get("redirect_uri"), State: f.Get("state"), Nonce: f.Get("nonce")}
	switch {
	case a.RedirectURI == "":
		return nil, refuse(InvalidRequest, "redirect_uri is missing")
	case !client.RedirectsTo(a.RedirectURI):
		return nil, refuse(InvalidRequest, "redirect_uri is not one that the client is registered with, character by character")
	case len(a.State) > maxState:
		return nil, refuse(InvalidRequest, "state is too long")
	}
	if err := a.parse(f); err != nil {
		target := a.Target()
		err.To = &target
		return nil, err
	}
	return a, nil
}

// known are the parameters that count, each of which may come once.
var known = [...]string{ //nolint:gochecknoglobals // never changed
	"response_type", "response_mode", "scope", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age",
	"acr_values", "login_hint", "id_token_hint", "dpop_jkt", "request", "request_uri", "registration",
}

// parse reads what remains once it is proven where errors go.
func (a *Authorization) parse(f Form) *Error {
	if name := f.firstRepeated(known[:]...); name != "" {
		return refuse(InvalidRequest, name+" was given twice")
	}
	switch {
	case f.Get("request") != "":
		return refuse(RequestNotSupported, "request objects are not supported")
	case f.Get("request_uri") != "":
		return refuse(RequestURINotSupported, "request_uri must be of this server")
	case f.Get("registration") != "":
		return refuse(RegistrationUnsupported, "clients are registered by the operator")
	case f.Get("response_type") == "":
		return refuse(InvalidRequest, "response_type is missing")
	case f.Get("response_type") != "code":
		return refuse(UnsupportedResponseType, "response_type must be code")
	case f.Get("response_mode") != "" && f.Get("response_mode") != "query":
		return refuse(InvalidRequest, "response_mode must be query")
	case !a.Client.Grants(GrantCode):
		return refuse(UnauthorizedClient, "the client is not registered for authorization_code")
	case len(a.Nonce) > maxNonce || strings.ContainsFunc(a.Nonce, isControl):
		return refuse(InvalidRequest, "nonce is too long, or has control characters")
	}
	for _, read := range []func(Form) *Error{a.parseChallenge, a.parseScope, a.parseLogin} {
		if err := read(f); err != nil {
			return err
		}
	}
	return nil
}

func (a *Authorization) parseChallenge(f Form) *Error {
	a.Challenge, a.KeyThumbprint = f.Get("code_challenge"), f.Get("dpop_jkt")
	switch {
	case a.Challenge == "":
		return refuse(InvalidRequest, "code_challenge is missing: PKCE is required")
	case f.Get("code_challenge_method") != "S256": // without a method it would be plain
		return refuse(InvalidRequest, "code_challenge_method must be S256")
	case !isChallenge(a.Challenge):
		return refuse(InvalidRequest, "code_challenge must be a SHA-256 in base64url")
	case a.KeyThumbprint != "" && !isChallenge(a.KeyThumbprint): // it has the same form
		return refuse(InvalidRequest, "dpop_jkt must be a SHA-256 in base64url")
	}
	return nil
}

func (a *Authorization) parseScope(f Form) *Error {
	asked := f.Get("scope")
	if wrong := checkScope(asked); wrong != "" {
		return refuse(InvalidScope, wrong)
	}
	granted, ok := a.Client.GrantedScope(asked)
	if !ok {
		return refuse(InvalidScope, "the client is registered for none of the scopes")
	}
	a.Scope = granted
	return nil
}

func (a *Authorization) parseLogin(f Form) *Error {
	for prompt := range strings.FieldsSeq(f.Get("prompt")) {
		switch prompt {
		case "none":
			a.Silent = true
		case "login", "select_account":
			a.Reauthorize = true
		case "consent": // nobody is asked for consent, so it is given
		default:
			return refuse(InvalidRequest, "prompt must be none, login, select_account or consent")
		}
	}
	if a.Silent && f.Get("prompt") != "none" {
		return refuse(InvalidRequest, "prompt=none stands alone")
	}
	if text := f.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return refuse(InvalidRequest, "max_age must be a number of seconds")
		}
		age := time.Duration(seconds) * time.Second
		a.MaxAge = &age
	}
	if a.ACR = bestOf(f.Get("acr_values")); !reaches(a.ACR, a.Client.ACR) {
		a.ACR = a.Client.ACR
	}
	a.Hint = f.Get("id_token_hint")
	return nil
}

// bestOf returns the level to aim for out of those that a client would like, in its order of preference.
func bestOf(values string) string {
	for value := range strings.FieldsSeq(values) {
		if value == "aal1" || value == "aal2" {
			return value
		}
	}
	return ""
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// Login is what is known of the user at the browser.
type Login struct {
	Time time.Time // of the authentication
	ACR  string
}

// Need is what has to happen before a client gets a code.
type Need uint8

const (
	Nothing        Need = iota // the code can be given
	Authentication             // the user must authenticate, for the first time or again
	SecondFactor               // the user must show a second factor
	Impossible                 // the user has just been asked for it, and did not reach the level
)

// Need tells what is missing. user is nil when nobody is logged in. since is when this very request was first sent to
// the login page, in whole seconds; zero if it was not: what happened since then fulfils it, as otherwise max_age=0 or
// prompt=login would never be.
func (a *Authorization) Need(user *Login, since, now time.Time) Need {
	if user == nil {
		return Authentication
	}
	again := !since.IsZero() && !user.Time.Before(since)
	switch {
	case a.Reauthorize && !again:
		return Authentication
	case a.MaxAge != nil && now.Sub(user.Time) > *a.MaxAge && !again:
		return Authentication
	case reaches(user.ACR, a.ACR):
		return Nothing
	case again:
		return Impossible
	}
	return SecondFactor
}

// reaches compares levels.
func reaches(have, want string) bool {
	return want == "" || have == want || want == "aal1" && have == "aal2"
}
