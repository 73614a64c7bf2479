// Package oauth is the pure core of authd's OAuth 2.0 authorization server and OpenID provider (RFC 6749, RFC 9700, OpenID
// Connect Core) for clients of one's own house: what a registered [Client] is, what a request of one means, and what the
// answers say.
//
// Everything here is a function of values; the endpoints in httpapi do the talking, and sessions and tokens come from
// their packages. There is one flow that involves a browser, the authorization code with PKCE, and nobody is asked for
// consent, as clients belong to whoever runs authd.
//
// The order of [ParseAuthorization] is the security of the flow: until client and redirect URI are proven, an error is
// shown to the person and goes nowhere else; from then on it goes back to the client.
//
// Whoever holds a client's secret can act as the client; whoever controls a redirect URI receives codes, but can use them
// only with the verifier that the client kept.
package oauth
