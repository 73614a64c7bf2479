//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package boltfile

import "os"

// whileLocked calls f. Who opens a file here twice is told so by bbolt, or that it is damaged.
func whileLocked(_ *os.File, f func() error) error { return f() }
