// Package httpapi is authd's HTTP surface: one listener for the public, one for administrators and operations.
//
// [NewPublic] serves people's sessions (log in, refresh, log out, list), what verifiers need (keys, discovery, forward
// authentication, introspection, the revocation feed), OAuth 2.0 and OpenID Connect for registered clients ([OAuth]), and
// the OpenAPI document that is its contract. [NewAdmin] serves users, anyone's sessions, revocations and keys behind the
// admin token, and health, metrics and leadership openly; it belongs on a loopback or cluster-internal address. Both return
// a [Server], which bounds connections, headers, bodies and time, and drains on shutdown.
//
// The documents openapi.yaml and openapi-admin.yaml were written first; tests hold every answer of the running server
// against them. Errors are problem details (RFC 9457), made from Go errors by one table; the texts of internal errors go
// to the log only. One log record and one measurement per request, neither of which ever contains a credential, a query
// or a raw path.
//
// The package decides nothing about sessions, tokens or keys: what it needs of them are the interfaces in sources.go.
package httpapi
