// Package ssf tells other services of sessions that have ended and accounts that have changed, by the OpenID Shared Signals
// Framework 1.0: Security Event Tokens (RFC 8417) of the Continuous Access Evaluation Profile and of RISC, pushed (RFC 8935) or
// polled (RFC 8936).
//
// A [Transmitter] is a sink of the audit log, so what it tells is what was recorded, whichever way a session ended. A receiver
// creates a [Stream], which has a queue of its own in a [Store]. An event stays there until the receiver has acknowledged it: a
// restart, or a receiver that is away, loses none. A queue that is full disables its stream, and says so as the last event in
// it; events never go in silence. Events are signed when they are sent, with the key that signs then, since one that waited may
// have outlived the key of its day.
package ssf
