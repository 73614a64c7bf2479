// Package programs finds the programs of the machine that tests start, and the cluster on a laptop.
package programs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Find returns the path of a program: where Debian puts PostgreSQL's, the newest first, in the PATH, or where the PATH of a
// user who is not root does not look.
func Find(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", name, err)
	}
	if len(found) > 0 {
		release := func(path string) int { n, _ := strconv.Atoi(strings.Split(path, "/")[4]); return n }
		return slices.MaxFunc(found, func(a, b string) int { return release(a) - release(b) }), nil
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, otherErr := exec.LookPath("/usr/sbin/" + name); otherErr == nil {
		return path, nil
	}
	return "", err
}

// Unprivileged returns whom to run a program as that refuses to be run by root: nil when that is not who runs this one.
func Unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("no user but root to run it as")
}
