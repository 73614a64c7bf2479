package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/session"
)

// metadata is what RFC 8414 and OpenID Connect Discovery have in common, so far as authd has it. Where it has no clients it
// has no authorization endpoint, which the response type "none" says best, and issues no ID tokens; libraries take the
// algorithms of access tokens from the same member.
type metadata struct {
	Issuer             string   `json:"issuer"`
	JWKSURI            string   `json:"jwks_uri"`
	ResponseTypes      []string `json:"response_types_supported"`
	SubjectTypes       []string `json:"subject_types_supported"`
	Algorithms         []string `json:"id_token_signing_alg_values_supported"`
	Scopes             []string `json:"scopes_supported,omitempty"`
	Claims             []string `json:"claims_supported"`
	Introspection      string   `json:"introspection_endpoint"`
	IntrospectionAuth  []string `json:"introspection_endpoint_auth_methods_supported"`
	Revocation         string   `json:"revocation_endpoint"`
	RevocationAuth     []string `json:"revocation_endpoint_auth_methods_supported"`
	DPoPAlgorithms     []string `json:"dpop_signing_alg_values_supported"`
	RevocationFeed     string   `json:"revocation_feed_uri"`                        // an extension: where the middleware follows the set
	StatusLists        string   `json:"status_list_aggregation_endpoint,omitempty"` // draft-ietf-oauth-status-list-21 section 9.1
	ServiceDescription string   `json:"service_documentation"`

	*providerMetadata
}

// providerMetadata is what there is only with clients.
type providerMetadata struct {
	Authorization   string   `json:"authorization_endpoint"`
	Token           string   `json:"token_endpoint"`
	Userinfo        string   `json:"userinfo_endpoint"`
	EndSession      string   `json:"end_session_endpoint"`
	GrantTypes      []string `json:"grant_types_supported"`
	ResponseModes   []string `json:"response_modes_supported"`
	Challenges      []string `json:"code_challenge_methods_supported"`
	TokenAuth       []string `json:"token_endpoint_auth_methods_supported"`
	ACRs            []string `json:"acr_values_supported"`
	Prompts         []string `json:"prompt_values_supported"`
	IssInResponse   bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
	ClaimsParameter bool     `json:"claims_parameter_supported"`
	Request         bool     `json:"request_parameter_supported"`
	RequestURI      bool     `json:"request_uri_parameter_supported"` // which OpenID Connect has as true where it is left out

	Backchannel        bool `json:"backchannel_logout_supported"`
	BackchannelSession bool `json:"backchannel_logout_session_supported"`
}

func newMetadata(c PublicConfig) (*document, error) {
	basic := []string{"client_secret_basic"}
	at := func(path string) string { return strings.TrimSuffix(c.Issuer, "/") + path }
	m := metadata{
		Issuer: c.Issuer, JWKSURI: at(pathJWKS),
		ResponseTypes: []string{"none"}, SubjectTypes: []string{"public"}, Algorithms: c.Algorithms, Scopes: c.Scopes,
		Claims: []string{
			"iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id", "scope", "auth_time", "amr", "acr", "roles", "cnf",
		},
		Introspection: at(pathIntrospect), IntrospectionAuth: basic,
		Revocation: at(pathRevoke), RevocationAuth: basic,
		DPoPAlgorithms: c.DPoP.Algorithms(),
		RevocationFeed: at(pathRevocations), ServiceDescription: at(pathOpenAPI),
	}
	if c.StatusLists != nil {
		m.StatusLists = at(pathStatusLists)
		m.Claims = append(m.Claims, "status")
	}
	if c.OAuth != nil {
		m.provide(c, at)
	}
	body, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the metadata: %w", err)
	}
	return newFixed(echo.MIMEApplicationJSON, append(body, '\n')), nil
}

// provide adds what an authorization server has.
func (m *metadata) provide(c PublicConfig, at func(path string) string) {
	anyAuth := []string{"client_secret_basic", "client_secret_post", "none"}
	m.ResponseTypes, m.RevocationAuth = []string{"code"}, anyAuth
	m.Scopes = slices.Concat([]string{oauth.ScopeOpenID, oauth.ScopeProfile, oauth.ScopeOfflineAccess}, c.Scopes)
	m.Claims = append(m.Claims, "azp", "nonce", "at_hash", "preferred_username", "act")
	m.providerMetadata = &providerMetadata{
		Authorization: at(pathAuthorize), Token: at(pathToken), Userinfo: at(pathUserinfo), EndSession: at(pathEndSession),
		GrantTypes: oauth.GrantTypes(), ResponseModes: []string{"query"}, Challenges: []string{"S256"}, TokenAuth: anyAuth,
		ACRs: []string{session.OneFactor, session.TwoFactors}, Prompts: []string{"none", "login", "select_account", "consent"},
		IssInResponse: true, Backchannel: c.OAuth.BackchannelLogout, BackchannelSession: c.OAuth.BackchannelLogout,
	}
}
