//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package boltfile

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// whileLocked calls f while no process has the file open for writing. Where one does for longer than it takes to end, it does
// nothing: opening the file will say so.
func whileLocked(file *os.File, f func() error) error {
	for began := time.Now(); ; time.Sleep(lockTimeout / 10) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) // what bbolt locks with; closing the file unlocks it
		if err == nil {
			return f()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Since(began) > lockTimeout {
			return nil
		}
	}
}
