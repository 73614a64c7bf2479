package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// checkEmpty fails the test when the folder of temporary folders, which is the test's own, has any.
func checkEmpty(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// leftovers tells of processes that run in a folder.
func leftovers(folder string) error {
	stats, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	var left []error
	for _, name := range stats {
		command, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if bytes.Contains(command, []byte(folder)) {
			left = append(left, fmt.Errorf("left behind: %s %s", name, bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return errors.Join(left...)
}
