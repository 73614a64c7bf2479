// Package etcdlock elects by a queue of candidates in etcd, as package concurrency of its client does: each candidate
// has a key that lives as long as its lease, and the oldest key leads.
//
// The holder renews its lease five times in its length; its work ends before the lease can have expired, counted from
// when the last renewal that succeeded was sent, also when etcd hangs or cannot be reached. With clocks that run, two
// leaders never work at once, with these exceptions: somebody takes the lease or the key away by hand, or etcd lost its
// data or was restored from a backup, and then the old leader works on until it sees that, at most for a fifth of the
// lease; and a process that was frozen notices only when it wakes. What the work writes must be fenced in any case, see
// package election.
//
// A leader that ends is followed at once, one that is lost without notice within the lease and two seconds. When etcd
// itself elects a new leader meanwhile, it counts all leases from the start, and the wait can be twice as long.
//
// A client should have DialKeepAliveTime set to 10 s, the least that gRPC allows, and DialKeepAliveTimeout to less than
// the lease, so that a member of a cluster that hangs is not asked again and again.
//
// # Rights
//
// An etcd that knows users must allow authd, for an election of the default name:
//
//	etcdctl role grant-permission authd --prefix readwrite authd/election/authd/
package etcdlock
