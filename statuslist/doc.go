// Package statuslist publishes the status of access tokens as Token Status Lists, and reads such lists
// (draft-ietf-oauth-status-list-21).
//
// A [List] is an array of small numbers, one for each token: 0 while the token holds, 1 once it is revoked. A token says
// in its claim "status" which list it is in, and where. The list travels as a signed JWT, the [Token], that anybody may
// fetch and keep for its "ttl". A verifier in any language can go by it, without credentials and without telling the
// issuer which token it looks at. The price is that a revocation is noticed as late as the ttl allows; the revocation
// feed takes milliseconds.
//
// The issuer's side: an [Allocator] gives each new token its place and notes in a [Register] what revocations of the
// token go by. A [Publisher] asks, for each of a list's tokens, whether the mirror has it as revoked, and signs the
// outcome. So a list says what the revocation set says, on all axes, and there is nothing that could differ.
// Registers are sub-packages named for where they are kept.
//
// The verifier's side: a [Checker] is a [revocation.Checker] that fetches the lists which tokens name.
//
// Lists are signed with the keys of access tokens. Neither passes for the other: a list's "typ" is statuslist+jwt, a
// token's at+jwt, and each reader takes its own only. Whoever can write to the register can make revoked tokens look
// valid to those who go by lists.
package statuslist
