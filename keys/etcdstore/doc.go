// Package etcdstore keeps the key ring in etcd, sealed.
//
// The ring is one key, replaced by a transaction that compares its revision: a writer that read an older ring, or led an
// older term, is refused. Beside the ring its value holds a version of its own, as revisions, and even the identity of a
// cluster, are used again when an etcd begins anew or is restored from a backup.
//
// # What etcd can lose
//
// A write that returned is on the disks of a majority. An etcd that has lost its disks, whose key was deleted, or that
// was restored from an older backup, gets the ring back from any process that has seen it lately. A process that saw it
// too long ago answers that the store is unavailable, and none that has seen a ring ever takes the loss for a new
// installation, or an older ring for the current one. To go back to an older ring, or to begin a new one, on purpose,
// stop every process first.
//
// # Rights
//
// Whoever can write to etcd can stop rotation or restore an older ring, but neither learn a key nor bring in another.
// An etcd that knows users must allow authd, for the default key:
//
//	etcdctl role grant-permission authd readwrite authd/keys
package etcdstore
