// Package redisstore keeps sessions in Redis or Valkey (6.2 or later), for many replicas of authd.
//
// Each session is one key, so that sessions spread over a cluster. A refresh is one script: the rule of session.Decide
// on the server's own clock. The server deletes a session when it has reached a limit. What ends a session replaces its
// record by a tombstone with nothing but the subject and the time, for whoever repeats an interrupted logout.
//
// The sessions of a subject are found by an index, a key of its own. An id enters it before its record is made, and
// what the index says is checked against the records, so it may say too much and never too little. In a cluster it can
// be on another server than the record, and a failover there may lose an entry: the session's next rotation enters it
// again.
//
// # What a failover can lose
//
// Replication is asynchronous. With Config.Replicas, Create, End and EndSubject return only once so many replicas have
// what they wrote (WAIT), on top of min-replicas-to-write in the server. Refreshes do not wait: a lost rotation is made
// good by session.Decide, which adopts a generation that the store does not know. A session that a refresh ends for
// reuse is confirmed like any other end.
//
// A lost End would bring the session back, at the latest when the revocation of its sid has expired; until then a refresh
// refuses and ends it. So it must be ended again. [Store.Run] does that: it watches the lineage of every server that has
// sessions, and where another one begins it ends what Config.Revoked names. Whoever writes back revocations that the
// server had lost too calls [Store.End] with the same ids, and need not wait for Run.
//
// What remains are servers that come back with data older than the life of a revocation (Redis's snapshots without its
// log, or a backup), as nobody knows any more what was ended in between: see docs/redis.md.
//
// # Rights
//
// Whoever can write to the server can end and prolong sessions, but not mint a token. An ACL user needs:
//
//	~authd:s:* ~authd:u:* +eval +evalsha +time +get +set +zadd +zrange +zrangebyscore +zremrangebyscore +pexpireat +wait +info
//
// and in a cluster +cluster|slots as well.
package redisstore
