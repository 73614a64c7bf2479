// Package redisscript runs Lua scripts in Redis for the stores that are kept there: with a deadline, many in one round
// trip, and confirmed by replicas where the caller wants that.
//
// A confirmed call is the script and WAIT on one connection. WAIT counts the writes of its own connection only, so a
// script that is to be confirmed must write even when it finds nothing to change: otherwise a repeated call, on another
// connection, would be confirmed by a replica that never saw the first one.
package redisscript
