// Package secretstore keeps the key ring in a Kubernetes Secret, sealed.
//
// The ring is one field of the Secret, replaced by an update that names the resourceVersion that was read: the API
// server refuses it when anything was written in between. A second field holds a random version that changes with the
// ring only, so that an annotation or a label that somebody sets makes no writer stale: the update is repeated on what
// they wrote. A writer that read an older ring, led an older term, or knew the Secret before it was deleted and made
// again is refused.
//
// # A Secret that is lost
//
// The Secret must exist; deploy/rbac.yaml makes it, empty. When it was deleted and made again, or emptied, any process
// that has seen the ring lately puts it back. A process that saw it too long ago answers that the store is unavailable,
// and none that has seen a ring ever takes the loss for a new installation. Only when all of them restart too is there
// nobody left who knows.
//
// # Rights
//
// The client needs get, update and watch on this one Secret and nothing else: deploy/rbac.yaml grants it. Whoever can
// write the Secret can stop rotation or restore an older ring, but neither learn a key nor bring in another.
package secretstore
