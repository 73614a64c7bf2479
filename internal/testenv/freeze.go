package testenv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// Freeze stops a process, which goes on at SIGCONT.
func Freeze(t testing.TB, pid int) {
	t.Helper()
	if err := freeze(pid); err != nil {
		t.Fatalf("freezing process %d: %v", pid, err)
	}
}

// freeze stops a process and waits until it has: on a busy machine the signal alone leaves it time for an answer. One
// that is frozen already stays so.
func freeze(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return err
		}
		// The state follows the name, which is in parentheses and may hold some.
		if i := bytes.LastIndexByte(stat, ')'); i >= 0 && bytes.HasPrefix(stat[i+1:], []byte(" T")) {
			return nil
		}
	}
	return errors.New("it does not stop")
}
