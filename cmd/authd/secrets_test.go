package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// What root has given to authd's group authd may read; what anybody else has opened to a group is a secret no longer.
func TestOpenToOthers(t *testing.T) {
	const root, authd = 0, 65532
	for _, tt := range []struct {
		mode        fs.FileMode
		owner, self int
		want        bool
	}{
		{0o600, authd, authd, false},
		{0o400, authd, authd, false},
		{0o700, authd, authd, false},
		{0o600, root, root, false},
		{0o440, root, authd, false}, // as Kubernetes mounts a Secret for a pod with an fsGroup
		{0o640, root, authd, false},
		{0o600, root, authd, false},

		{0o660, root, authd, true},
		{0o650, root, authd, true},
		{0o444, root, authd, true},
		{0o644, root, authd, true},
		{0o641, root, authd, true},
		{0o440, root, root, true},
		{0o440, authd, authd, true},
		{0o640, 1000, authd, true},
		{0o640, -1, authd, true},
		{0o604, authd, authd, true},
	} {
		if got := openToOthers(tt.mode, tt.owner, tt.self); got != tt.want {
			t.Errorf("mode %04o, owner %d, read by %d: open %v, want %v", tt.mode, tt.owner, tt.self, got, tt.want)
		}
	}
}

func TestOwner(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := owner(info); got != os.Geteuid() {
		t.Errorf("owner %d of a file that %d has made", got, os.Geteuid())
	}
}
