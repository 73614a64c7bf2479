package testenv

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// npmDir makes a folder in which node finds the packages that npm.sh has installed for the lock file of a folder of this
// package.
func npmDir(t testing.TB, name string, lock []byte) string {
	t.Helper()
	installed := filepath.Join(cacheDir(), fmt.Sprintf("%s-%x", name, sha256.Sum256(lock)), "node_modules")
	if _, err := os.Stat(installed); err != nil {
		t.Fatalf("%s is not installed: %v; run internal/testenv/install.sh (make test does)", name, err)
	}
	dir := t.TempDir()
	if err := os.Symlink(installed, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return dir
}
