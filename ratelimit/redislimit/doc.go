// Package redislimit keeps rate limits in Redis or Valkey, so that many processes share them.
//
// Each algorithm is one Lua script that reads and writes one key, so it is atomic and works on a standalone server,
// behind Sentinel and in a cluster. Time is the server's own (TIME), so the clocks of the callers do not matter. Keys
// expire when nothing counts in them any more.
//
// A failover may forget the last units that were counted, as replication is asynchronous: a limit then admits a little
// more, once. Whoever can write to the server can lift a limit or use it up. An ACL user needs:
//
//	~authd:limit:* +eval +evalsha +time +get +set +del +zadd +zscore +zremrangebyscore +zremrangebyrank +pexpire
package redislimit
