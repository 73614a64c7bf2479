package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretSize is that of generated secrets: a key-encryption key needs exactly this, the admin token at least.
const secretSize = 32

// readOrMakeSecret returns the text of a secret file, and makes the file with 32 random bytes in base64url when create is
// set and it does not exist. A file that others may read is refused: it is a secret no longer (see [openToOthers]).
func readOrMakeSecret(name string, create bool) (string, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && create {
		return makeSecret(name)
	}
	if err != nil {
		return "", err
	}
	if openToOthers(info.Mode().Perm(), owner(info), os.Geteuid()) {
		return "", fmt.Errorf("%s is open to others (mode %04o); run: chmod 600 %s", name, info.Mode().Perm(), name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "", fmt.Errorf("%s is empty", name)
	}
	return text, nil
}

// openToOthers tells whether somebody else than authd may use a secret file that the user owner has with the given mode,
// where authd is the user self. The group may read what root owns, unless authd is root: so an administrator hands a
// secret to a service that cannot change it, and so Kubernetes mounts Secrets for a pod with an fsGroup (root, mode 0440).
// PostgreSQL has the same rule for its TLS key.
func openToOthers(mode fs.FileMode, owner, self int) bool {
	const root = 0
	if owner == root && self != root {
		return mode&0o037 != 0
	}
	return mode&0o077 != 0
}

func makeSecret(name string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", err
	}
	secret := newSecret()
	// A half-written file after a crash would be a wrong secret, so it appears whole or not at all; and a link instead
	// of a rename loses to a process that was faster.
	tmp, err := os.CreateTemp(filepath.Dir(name), ".secret-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(secret + "\n")
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", err
	}
	if err := os.Link(tmp.Name(), name); err != nil {
		return "", err
	}
	return secret, nil
}

func newSecret() string {
	var b [secretSize]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
