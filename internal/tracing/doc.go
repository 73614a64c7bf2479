// Package tracing tells an OpenTelemetry collector where the time of a request goes, and of a change of the key ring.
//
//	t, err := tracing.Open(ctx, tracing.Config{Endpoint: "https://collector:4318/v1/traces", Sample: 0.1})
//	sessions = t.Sessions(sessions) // a store like the one it was given, and a span for each call
//	err = t.Close(ctx)              // hands over what is left
//
// authd's cores know nothing of it: it stands between them, as other implementations of the interfaces by which they know
// each other. Whoever makes no traces puts nothing there, and pays nothing.
//
// The span of a request is begun by package httpapi. What is wrapped here adds a child to it where time can go, and begins
// nothing by itself: what happens in the background, such as the heartbeats of a store, is in no trace. Two things begin
// traces of their own: [Tracer.Rotation], for a pass of the leader over the key ring that changes something, and
// [Tracer.Transport], for requests that nobody waits for.
//
// # What is in a span
//
// Names, and values of small fixed sets: which source of users, which limit, which command of Redis, what came of it. And of
// the key ring kids and terms, which are public. Never a token, a password, a name or subject of a user, an address, a key or
// a value of a store; nor the text of an error, which may quote any of these. [Spans] lists all of it.
//
// # When the collector fails
//
// Spans wait in a queue with a bound. What does not fit, and what the collector does not take, is counted, said in the log
// once, and gone. Nothing waits for the collector but [Tracer.Close], for as long as its context lets it.
package tracing
