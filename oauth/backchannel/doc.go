// Package backchannel tells clients that a session of theirs has ended, server to server: OpenID Connect Back-Channel
// Logout 1.0. A verifier of access tokens hears of a logout by the revocation set; this is for applications that keep a
// session of their own beside authd's and would not ask again for hours.
//
// Wrap the store of sessions with [Sender.Watch] and give that to the session service. Whatever ends a session then, a
// logout, an administrator, a stolen refresh token, comes by; where the session is of a client that wants to hear of it, a
// [Notice] is put into the [Outbox] first, then the session ends, and then [Sender.Run] delivers the notice: a POST of a
// signed logout token, outside of the request that ended the session.
//
// # What is promised
//
// A notice that is in the outbox is delivered or given up with a log entry and a count; a process that dies in between goes
// on when it starts again. It may be delivered twice, also after the client had said yes: the answer may get lost. Before
// each delivery the session is looked up, so that a client never hears of an end that did not happen.
//
// Each client has a queue and a few connections of its own, so that one that hangs delays nobody else. Failed deliveries
// are repeated with growing pauses for [Config].GiveUpAfter; a client that answers that it refuses the notice is asked a
// few times only.
//
// Not every end is announced: sessions that end because nobody used them, and those that a cut-off of a client or of
// everything has made useless, of which the client hears at its next refresh.
package backchannel
