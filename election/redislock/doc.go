// Package redislock elects by a lease in Redis or Valkey.
//
// The lease is one key that expires by the server's clock. The holder renews it five times in a lease; its work ends
// before the lease can have expired, counted from when the last renewal that succeeded was sent, also when the server
// hangs or cannot be reached. With clocks that run, two leaders never work at once, with these exceptions: a failover or
// a restart of the server may forget the lease, and then the old leader works on until its next renewal shows it who
// leads now; and a process that was frozen notices only when it wakes. What the work writes must be fenced in any case,
// see package election.
//
// A leader that ends is followed within a retry, one that is lost without notice within the lease and a retry.
//
// An ACL user needs:
//
//	~authd:election:* +eval +evalsha +get +set +del
//
// and in a cluster +cluster|slots as well.
package redislock
