// Package session is the life of a login: an access token that expires in minutes, a refresh token that rotates, and an
// end that every verifier learns of.
//
// The refresh token is derived, not stored: sid, generation and subject under a MAC. Forged ones are refused without touching
// the store, nothing in a stolen database is a credential, and a retried refresh gets byte for byte the same successor.
// One atomic step in the [Store], the pure rule [Decide], says what a presented generation means: the next one, a
// retry, or theft.
//
// A login may come with a [Proof] of a key. The session's tokens, both kinds, are then bound to that key and worth nothing
// without it; the refresh token names the key, so that a thief is refused before anything is asked or changed.
//
// A session ends in two steps: first its record, so that nobody can refresh it, then a revocation of its sid that
// outlives every access token it can have. The [Service] acknowledges an end when both are durable; where it was
// interrupted in between, repeating the call, or presenting a token of the session, completes it.
//
// A login has two halves, [Service.Authenticate] and [Service.Begin], between which a second factor may be asked for. A
// client's session may begin from another one that is live in the browser, its parent: it has the parent's authentication,
// and ends with it.
//
// Several holders of one refresh token, such as the tabs of a browser, stay logged in as long as the time from reading
// the shared token to storing the answer, retries included, is within a third of [Limits].Grace. A holder whose answer
// is lost must ask again within the grace.
//
// Whoever holds a MAC key can make refresh tokens for session ids he knows; whoever can write to the store can end and
// prolong sessions, but not mint a token.
package session
