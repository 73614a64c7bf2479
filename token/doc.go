// Package token issues and verifies access tokens: JWTs by the profile of RFC 9068.
//
// An [Issuer] signs claims with the active key. A [Verifier] decides from memory, cheapest refusal first: size and
// alphabet, the cache of tokens verified before, header, key, signature, claims, and last the revocation set. It
// accepts one spelling of a token and nothing that another library might read differently.
package token
