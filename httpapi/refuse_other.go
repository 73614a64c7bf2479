//go:build !linux

package httpapi

import "net"

// refuse cannot be done here: connections that nobody has accepted yet are reset when l is closed.
func refuse(net.Listener) {}
