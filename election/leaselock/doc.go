// Package leaselock elects by a Kubernetes Lease, with client-go's leaderelection.
//
// client-go alone lets two leaders work at once for seconds: the context that it gives the leader outlives a pause and a
// slow answer, and it gives the lease up before the work has returned. Here a guard around its lock ends the work's
// context, at the latest when the lease may have run out, counted from before the last renewal that succeeded was sent;
// or as soon as the Lease names somebody else, or is gone. The Lease is renewed until the work has returned, and given
// up only then.
//
// With clocks that run equally fast, two leaders never work at once, with these exceptions: who deletes the Lease and
// makes it again may let a process that starts in that moment win while the old leader has not looked yet; and a
// process that was frozen notices only when it wakes. What the work writes must be fenced in any case, see package
// election.
//
// A leader that ends is followed within half a lease, one that is lost without notice within two leases; much sooner as
// a rule.
//
// The Lease must exist, and the client needs get and update on it and nothing else: deploy/rbac.yaml makes both. The
// name that a Lease shows for its holder is the identity, an underscore and a random part, as two processes may have
// been given one identity.
package leaselock
