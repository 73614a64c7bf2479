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
// A lost End would bring the session back. It must be ended again as soon as the loss is noticed, which is when the
// revocation of its sid is written back: whoever does that calls [Store.End] with the same ids.
// In a cluster the failover may be of the record's shard alone, where no revocation is lost and so nothing is noticed: the
// session is refused and ended by a refresh for as long as its revocation lasts, and after that it is back. Set
// Config.Replicas there.
//
// # Rights
//
// Whoever can write to the server can end and prolong sessions, but not mint a token. An ACL user needs:
//
//	~authd:s:* ~authd:u:* +eval +evalsha +time +get +set +zadd +zrange +zrangebyscore +zremrangebyscore +pexpireat +wait
//
// and in a cluster +cluster|slots as well.
package redisstore
