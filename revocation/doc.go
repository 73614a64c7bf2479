// Package revocation ends tokens before they expire.
//
// A verifier that holds a [Mirror] answers "is this token revoked?" from memory: no network, no allocation. The
// mirror is a replica of the revocation set, which a [Store] keeps durably and a [Feed] delivers. Entries only ever
// grow (the later expiry and the later cut-off win), so replicas need no atomic snapshot, merging twice is harmless,
// and whoever knows of an unexpired entry may write it back.
//
// A hit denies however old the mirror is. A miss counts only while the mirror is fresh: complete as of a moment no
// longer ago than the configured bound. A mirror that has never been filled is stale, not empty.
//
// [Mirror.Run] keeps a mirror current from any feed: the store in the same process, authd's HTTP feed, or another mirror,
// which is a feed itself. [Mirror.Check] is what a verifier asks.
//
// Whoever can write to the store can end sessions, never begin one. The package itself does no I/O: backends are its
// sub-packages.
package revocation
