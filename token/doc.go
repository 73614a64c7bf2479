// Package token issues and verifies access tokens: JWTs by the profile of RFC 9068.
//
// An [Issuer] signs claims with the active key. A [Verifier] decides from memory, cheapest refusal first: the cache of
// tokens verified before, size and alphabet, header, key, signature, claims, and last the revocation set. It accepts
// one spelling of a token and nothing that another library might read differently: what golang-jwt leaves to its
// caller is closed here, and golang-jwt does the signatures.
//
// Whoever holds a signing key can make tokens; whoever controls the [VerificationKeys] decides whose tokens pass. A
// token proves who was logged in when it was issued. That nobody ended the session since is for the
// [revocation.Checker] to say, and a Verifier that cannot have its answer says [ErrUnavailable].
package token
