// Package election decides which of several processes works, one at a time.
//
// An election is advice, not protection: a process that was frozen in the middle of a write wakes up believing it still
// leads. What the work writes is protected by the store it writes to, which refuses a term that has moved on (see
// package keys, Store.Claim). Electors are interchangeable for that reason: [Solo] for a process that is alone by
// construction, and one sub-package for each system that can hold a lease.
package election
