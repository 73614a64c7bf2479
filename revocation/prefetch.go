//go:build amd64 || arm64

package revocation

import "unsafe"

// prefetch asks for the memory at p and does not wait for it. Unlike a load it keeps nothing from being retired, so the
// processor goes on for as long as it takes. Go has no other way to say that.
//
//go:noescape
func prefetch(p unsafe.Pointer)
