package tracing

import "go.opentelemetry.io/otel/attribute"

// Attributes of authd's own. The others are those of OpenTelemetry's semantic conventions.
const (
	Source    = "authd.users.source"
	Scheme    = "authd.password.scheme"
	LimitName = "authd.limit.name"
	Allowed   = "authd.limit.allowed"
	EventType = "authd.audit.type"
	KeyID     = "authd.key.id"
	Term      = "authd.ring.term"
	Changes   = "authd.ring.changes"
	Peer      = "authd.peer"
	Outcome   = "authd.outcome"
)

const (
	spanAuthenticate    = "users authenticate"
	spanAccount         = "users account"
	spanUser            = "users get"
	spanHashWait        = "password wait"
	spanHash            = "password hash"
	spanRevoke          = "revocations add"
	spanAudit           = "audit record"
	spanLimit           = "limit allow"
	spanLoginsBefore    = "logins before"
	spanLoginsSucceeded = "logins succeeded"
	spanLoginsCancelled = "logins cancelled"
	spanSign            = "token sign"
	spanVerify          = "token verify"
	spanRedisConnect    = "redis connect"
	spanRotation        = "ring rotation"
	spanRingClaim       = "ring claim"
	spanRingLoad        = "ring load"
	spanRingPlan        = "ring plan"
	spanRingWrite       = "ring write"
	spanRingPublish     = "ring publish"
)

func spanSession(call string) string { return "sessions " + call }

func attr(key, value string) attribute.KeyValue { return attribute.String(key, value) }

// Span documents a kind of span.
type Span struct {
	Name       string
	What       string   // what takes the time
	Attributes []string // that it may have, beside error.type and, for what was refused, authd.outcome
}

// Spans lists all spans but those of requests to authd, which package httpapi makes. In a name, what differs is in capitals.
func Spans() []Span {
	return []Span{
		{spanLimit, "the rate limit of the route", []string{LimitName, Allowed}},
		{spanLoginsBefore, "whether too many logins have failed; also waits for other attempts from the same address", []string{Allowed}},
		{spanLoginsSucceeded, "takes the attempt back and remembers the address", nil},
		{spanLoginsCancelled, "takes the attempt back", nil},
		{spanAuthenticate, "one source of users checks a password", []string{Source}},
		{spanUser, "one source of users is asked whether it has a name", []string{Source}},
		{spanAccount, "one source of users is asked for an account, as at each refresh", []string{Source}},
		{spanHashWait, "waits for a place in the pool of password hashes", nil},
		{spanHash, "computes a password hash", []string{Scheme}},
		{spanSession("CALL"), "the session store: create, get, refresh, end, end_subject or list", nil},
		{spanRevoke, "a revocation is made durable", nil},
		{spanSign, "an access token is signed", []string{KeyID}},
		{spanVerify, "an access token is verified, from memory", nil},
		{spanAudit, "an event is handed to the audit log; with `audit-strict` or `audit-sync=0s` until it is kept", []string{EventType}},
		{"COMMAND", "one command to Redis, or several together as PIPELINE; never a key or a value",
			[]string{"db.system.name", "db.operation.name", "db.operation.batch.size", "db.response.status_code"}},
		{spanRedisConnect, "a connection to Redis is opened", []string{"db.system.name"}},
		{"METHOD", "a request of authd's own to a receiver: of users, audit events, logouts or shared signals",
			[]string{"http.request.method", "http.response.status_code", Peer}},
		{spanRotation, "a pass of the leader over the key ring that changes something: begins a trace, and links to the one in which the term was claimed", []string{Term}},
		{spanRingClaim, "the leader claims the next term", []string{Term}},
		{spanRingLoad, "reads the ring", nil},
		{spanRingPlan, "decides on the step, and makes the key", []string{Term, Changes}},
		{spanRingWrite, "writes the ring, fenced by the term", []string{Term, Changes}},
		{spanRingPublish, "this authd publishes the ring and signs by it; in the leader below the write, elsewhere a trace of its own", []string{Term, Changes}},
	}
}
