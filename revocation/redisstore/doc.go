// Package redisstore keeps the revocation set in Redis 7 or Valkey, for many replicas of authd and many services that
// verify: standalone, behind Sentinel, or in a cluster.
//
// # What is kept
//
// Five keys in one slot, changed by scripts only:
//
//	{authd:rev}:entries  sorted set: kind (1 byte) id (16), by the second in which it expires
//	{authd:rev}:cutoffs  hash: kind id → cut-off, Unix seconds; for entries that have one
//	{authd:rev}:changes  stream: kind id cut-off expires, packed, under the number of the change ("17-0")
//	{authd:rev}:meta     hash: epoch, lineage of the server's data, number of the latest change, live epoch, heartbeats
//	{authd:rev}:peers    hash: authd → until when it is waited for, and the epoch under which it has written back
//
// Entries only ever grow, so a follower needs no atomic snapshot: it notes the position, scans the sorted set, and goes
// on with the stream, whose numbers are dense. Entries are forgotten when they have expired, changes by time.
//
// # What a loss does
//
// A restart, a promotion and FLUSHALL can all lose what was acknowledged. None goes unnoticed: the epoch names the
// lineage of the server's data (master_replid) that it was begun on, and each of the three ends it. The first authd to
// see that begins another epoch, and every authd writes back everything it holds. The set is live again, and proves
// anything to anybody, once every authd that was a peer has done so, or has been silent for the length of its lease.
// Adding goes on meanwhile, and mirrors are fresh for as long as their bound on staleness lasts.
//
// Services only read, by a [Source]: a mirror in a service is replaced from the set and never written back to it. Those that
// write back must be known and waited for, and whoever may write can end every session.
//
// # What is acknowledged
//
// With Config.Replicas, [Store.Add] returns nil once so many replicas have the entries (WAIT, on the connection that
// wrote them), and heartbeats are confirmed in the same way: a primary that was cut off and replaced still answers, but
// proves nothing.
//
// # What remains
//
// An acknowledged revocation is forgotten only if the server loses it and everybody who held it is gone too: the authd
// that acknowledged it dies before another authd has read it (about a millisecond later), and, with Config.Replicas, the
// replicas that had it are lost as well. When the server is emptied while no authd runs, Config.Memory makes the next one
// refuse to go live; without it, or when it remembers nothing, an authd that starts against an empty server only waits for
// others for the length of a lease. A set that is restored from an old backup while no authd runs looks complete.
//
// # Rights
//
// Whoever can write these keys can end sessions, and by deleting them bring ended ones back. The rights that an authd
// and a service need are in docs/redis.md.
package redisstore
