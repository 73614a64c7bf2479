// Package ratelimit is the four classic limiters behind one small interface: fixed window, sliding-window counter,
// token bucket and leaky bucket.
//
// A [Policy] says which algorithm and how much; its text form, such as "token-bucket 10/1m burst 20", is what
// configuration files hold. [Policy.Step] is the whole algorithm: a pure function from what is remembered of a key, the
// time and the units asked for, to what is remembered next and a [Decision]. A [Limiter] keeps that state for many
// keys: [Memory] in this process, redislimit in Redis for many processes. docs/ratelimit.md says when to choose which.
//
// [AddHeader] and [NewHandler] speak HTTP: the RateLimit fields and 429 with Retry-After. [LoginGuard] limits failed
// logins so that guessing ends soon and nobody can lock another out.
package ratelimit
