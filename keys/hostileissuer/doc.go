// Package hostileissuer tries clients of a JWKS (RFC 7517) against issuers that misbehave: that withdraw keys and lie
// about caching, stall, drip and hang, answer HTML, null or a gibibyte, redirect to another origin, publish bad keys among
// good ones, are dead when the client starts, or whose clients are flooded with tokens of unknown keys. It is for every
// verifier of JWTs, not only authd's.
//
// [Scenarios] is the table: each says what the issuer does, and what a good client must do. A client is tried by a
// function that starts it as it would be started in a service, with the [Settings] that it is given:
//
//	func TestVerifier(t *testing.T) {
//		hostileissuer.Test(t, func(ctx context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
//			return NewMyVerifier(ctx, s.JWKSURL, s.Issuer, s.Audience)
//		})
//	}
//
// The issuers are real servers, on loopback ([Loopback]) or, for clients that can be tested in a testing/synctest bubble,
// on pipes ([Pipes]), where the hours of a scenario cost no time. No other network is used. What is judged is judged
// with so much patience that a slow machine changes no verdict: a second for what should take no time at all.
//
// [Issuer] and the handlers that it answers with can be used alone, for scenarios of one's own.
package hostileissuer
