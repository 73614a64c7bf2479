// Package httpfeed carries a revocation feed over HTTP, as server-sent events: [NewHandler] serves it, [Client]
// follows it. Any language can, see docs/revocation-feed.md.
//
// # Freshness without synchronized clocks
//
// The answer begins with the server's clock at the moment it handled the request ("now"), and each later proof names a
// moment of the same clock as of which the feed is complete ("as_of"). The client noted its own clock before it sent
// the request, so by its clock the feed is complete as of that time plus (as_of - now), or later: a lower bound,
// however long anything sat in a buffer. Only the rate of the two clocks matters; the client allows them to differ by
// one part in a thousand and asks anew every few minutes. A random nonce, which the answer repeats, shows that no cache
// answered.
//
// # Reports
//
// A server may ask its clients which JWKS they hold, and a client says so with its request ([Holding]): what it says and
// the stream it gets cannot come apart.
//
// The feed is public: its IDs are random numbers or digests, and knowing one gives no access. Who can guess a user's
// name can tell whether it has a cut-off.
package httpfeed
