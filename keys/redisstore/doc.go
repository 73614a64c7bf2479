// Package redisstore keeps the key ring in Redis or Valkey, sealed.
//
// The ring is one hash, replaced by a script that compares the version: a writer that read an older ring, or led an
// older term, is refused. Versions are random, so that none is used again after the server lost its data.
//
// # What a failover can lose
//
// Replication is asynchronous. With Config.Replicas a write returns only once so many replicas have it (WAIT), on top of
// min-replicas-to-write in the server. What is lost nevertheless is as if it had not been written: the last transition
// of a key, milliseconds old, which the next leader performs again. No token needs it, as a key signs only when it has
// been in the ring for much longer.
//
// A server that has lost the ring altogether gets it back from any process that has seen it lately. A process that saw
// it too long ago answers that the store is unavailable, and none that has seen a ring ever takes the loss for a new
// installation. Only when all of them restart too is there nobody left who knows: run a server with persistence.
//
// # Rights
//
// Whoever can write to the server can stop rotation or restore an older ring, but neither learn a key nor bring in
// another. An ACL user needs:
//
//	~authd:keys +eval +evalsha +hmget +hset +wait
//
// and in a cluster +cluster|slots as well.
package redisstore
