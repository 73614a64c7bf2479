package oauth

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// The grant types that a client may be registered for.
const (
	GrantCode              = "authorization_code"
	GrantRefresh           = "refresh_token"
	GrantClientCredentials = "client_credentials"
	GrantExchange          = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// GrantTypes returns all grant types that there are.
func GrantTypes() []string {
	return []string{GrantCode, GrantRefresh, GrantClientCredentials, GrantExchange}
}

// Scopes with a meaning of their own; all others are names that services agree on.
const (
	ScopeOpenID        = "openid"         // an ID token, and the userinfo endpoint
	ScopeProfile       = "profile"        // the user's name and roles in both
	ScopeOfflineAccess = "offline_access" // accepted, as clients ask for it; refresh tokens depend on the grant type
)

// Client is a registered client. It is read only once it is in use.
type Client struct {
	// ID is the client_id: visible ASCII without colon, at most 128 bytes.
	ID string
	// Name is what people read when the client is mentioned to them; the ID if empty.
	Name string
	// Public clients keep no secret: programs in a browser, on a phone or a desktop.
	Public bool
	// SecretSHA256 are digests of the client's secrets, any of which will do, so that one can be replaced without a gap. A
	// plain digest is enough for a secret of 128 random bits or more, and only such a secret may be used.
	SecretSHA256 [][sha256.Size]byte
	// Native marks programs on the user's own machine (RFC 8252): redirect URIs may have a private-use scheme, and those on
	// http://127.0.0.1 or http://[::1] match with any port.
	Native bool
	// RedirectURIs are compared as they are, character by character (RFC 9700 section 2.1).
	RedirectURIs []string
	// PostLogoutRedirectURIs are where a logout may lead back to, compared likewise.
	PostLogoutRedirectURIs []string
	// BackchannelLogoutURI is told of sessions that end (OpenID Connect Back-Channel Logout); empty for nobody.
	BackchannelLogoutURI string
	// GrantTypes are what the client may use; by default authorization_code and refresh_token.
	GrantTypes []string
	// Scopes are what it may get. One that asks for none gets all of them but those of OpenID Connect.
	Scopes []string
	// Audiences are who accepts its access tokens; by default the issuer's own. Only tokens with that one are good at the
	// userinfo endpoint and the API of authd.
	Audiences []string
	// ExchangeAudiences are those for which it may exchange tokens that came to it from its callers (RFC 8693).
	ExchangeAudiences []string
	// DPoP requires a proof of a key whenever the client gets a token.
	DPoP bool
	// ACR is the least authentication level of users that it accepts, "aal2" say; empty for any.
	ACR string
}

// Bounds of what a client may have.
const (
	maxID   = 128 // bytes
	maxURI  = 1024
	maxList = 64 // values
)

// Grants tells whether the client may use a grant type.
func (c *Client) Grants(grantType string) bool {
	if len(c.GrantTypes) == 0 {
		return grantType == GrantCode || grantType == GrantRefresh
	}
	return slices.Contains(c.GrantTypes, grantType)
}

// Label is what people read.
func (c *Client) Label() string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// HasSecret tells in constant time whether secret is one of the client's.
func (c *Client) HasSecret(secret string) bool {
	got, same := sha256.Sum256([]byte(secret)), 0
	for _, want := range c.SecretSHA256 {
		same |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return same == 1
}

// Validate reports every problem at once.
func (c *Client) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.ID != "" && len(c.ID) <= maxID && isVisible(c.ID) && !strings.Contains(c.ID, ":"),
		"id: must be 1 to %d visible ASCII characters without a colon", maxID)
	need(c.Public == (len(c.SecretSHA256) == 0), "a client has secrets, or else is public")
	need(!slices.Contains(c.SecretSHA256, [sha256.Size]byte{}) && !c.HasSecret(""), "secret digests: one is of no secret")
	for _, g := range c.GrantTypes {
		need(slices.Contains(GrantTypes(), g), "grant types: %q is not one of %s", g, strings.Join(GrantTypes(), ", "))
	}
	need(!c.Public || !c.Grants(GrantClientCredentials), "grant types: a public client cannot act for itself")
	need(!c.Public || !c.Grants(GrantExchange), "grant types: a public client cannot exchange tokens")
	need(c.Grants(GrantCode) == (len(c.RedirectURIs) > 0), "redirect URIs: at least one for authorization_code, and for nothing else")
	need(c.Grants(GrantExchange) == (len(c.ExchangeAudiences) > 0), "exchange audiences: at least one for token exchange, and for nothing else")
	need(c.BackchannelLogoutURI == "" || c.Grants(GrantCode), "back-channel logout URI: only sessions of users end")
	need(c.ACR == "" || bestOf(c.ACR) == c.ACR, "acr: must be aal1 or aal2")
	for _, list := range [][]string{c.RedirectURIs, c.PostLogoutRedirectURIs, c.Scopes, c.Audiences, c.ExchangeAudiences} {
		need(len(list) <= maxList, "a list has more than %d values", maxList)
	}
	for _, s := range c.Scopes {
		need(isScopeToken(s), "scopes: %q is none by RFC 6749 section 3.3", s)
	}
	for _, a := range slices.Concat(c.Audiences, c.ExchangeAudiences) {
		need(a != "" && len(a) <= 255 && isVisible(a), "audiences: %q must be 1 to 255 visible ASCII characters", a)
	}
	return errors.Join(append(errs, c.validateURIs())...)
}

func (c *Client) validateURIs() error {
	var errs []error
	for name, list := range map[string][]string{
		"redirect URI": c.RedirectURIs, "post-logout redirect URI": c.PostLogoutRedirectURIs,
	} {
		for _, text := range list {
			if err := checkURI(text, c.Native); err != nil {
				errs = append(errs, fmt.Errorf("%s %q: %w", name, text, err))
			}
		}
	}
	if c.BackchannelLogoutURI != "" {
		if err := checkURI(c.BackchannelLogoutURI, false); err != nil {
			errs = append(errs, fmt.Errorf("back-channel logout URI %q: %w", c.BackchannelLogoutURI, err))
		}
	}
	return errors.Join(errs...)
}

// checkURI reports a URI that no browser should be sent to: one that two readers may understand differently, or one whose
// request a network could read.
func checkURI(text string, native bool) error {
	if text == "" || len(text) > maxURI || !isVisible(text) || strings.ContainsAny(text, `\"<>^{|}`+"`") {
		return fmt.Errorf("must be 1 to %d of the characters of RFC 3986", maxURI)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is no URI") // url.Error repeats the text
	case strings.Contains(text, "#"):
		return errors.New("must have no fragment")
	case strings.Contains(text, "*"):
		return errors.New("must have no wildcard, as it is compared as it is")
	case u.User != nil:
		return errors.New("must have no user")
	case native && strings.Contains(u.Scheme, "."):
		return nil // a private-use scheme: a domain name in reverse (RFC 8252 section 7.1)
	case u.Hostname() == "":
		return errors.New("must have a host")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("must be https, or http on the loopback interface")
}

func isLoopback(host string) bool { return host == "127.0.0.1" || host == "::1" || host == "localhost" }

// isVisible wants ASCII without spaces and control characters.
func isVisible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Clients finds clients by their ID, and may change which there are. It may be used concurrently. [Registry] is one.
type Clients interface {
	// Client returns the client of that ID, or nil.
	Client(id string) *Client
}

// Registry holds a fixed set of clients.
type Registry struct{ clients map[string]*Client }

// NewRegistry returns a registry of these clients, or an error that names every client's every problem.
func NewRegistry(clients []Client) (*Registry, error) {
	r := &Registry{make(map[string]*Client, len(clients))}
	var errs []error
	for i := range clients {
		c := &clients[i]
		if _, twice := r.clients[c.ID]; twice {
			errs = append(errs, fmt.Errorf("oauth client %q: given twice", c.ID))
		}
		if err := c.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("oauth client %q: %w", c.ID, err))
		}
		r.clients[c.ID] = c
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return r, nil
}

// Client implements [Clients].
func (r *Registry) Client(id string) *Client { return r.clients[id] }

// Empty tells whether there is no client at all.
func (r *Registry) Empty() bool { return len(r.clients) == 0 }
