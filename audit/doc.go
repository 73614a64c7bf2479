// Package audit records security events: who did what, from where, in which session, and what came of it.
//
// An [Event] is one fact of one [Type], of a closed list. [Encode] makes a line of JSON of it, in pure ASCII, with every
// member bounded: whatever a client sends, it cannot forge a line, break one, or play tricks on a terminal. Nothing that
// could log anybody in has a member to be in. docs/audit-event.schema.json is the schema of a line.
//
// A [Log] hands events to sinks: a file (package logfile), standard output ([NewWriter]), receivers on the web (package
// webhook), shared signals (package ssf). Each sink has a queue and a goroutine of its own, so that one that is slow or
// broken holds up no other. [Log.Record] waits until all have taken the event, for a bounded time; and while one is known to
// be stuck it does not wait for that one at all. What a sink could not be given is counted, and reported in the sink itself
// as soon as it works again ([AuditLost]). Nothing is lost in silence.
//
// What somebody without credentials can make happen thousands of times a second does not fill a disk: events that are
// alike are merged beyond a few in a second, into one that tells how many it stands for.
package audit
