// Package session is the life of a login: an access token that expires in minutes, a refresh token that rotates, and an
// end that every verifier learns of.
//
// The refresh token is derived, not stored: sid and generation under a MAC. Forged ones are refused without touching
// the store, nothing in a stolen database is a credential, and a retried refresh gets byte for byte the same successor.
// One atomic step in the [Store], the pure rule [Decide], says what a presented generation means: the next one, a
// retry, or theft.
package session
