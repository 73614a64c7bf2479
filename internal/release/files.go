package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Who authd runs as in the image: nobody in particular, by number, so that Kubernetes can see that it is not root.
const userID = 65532

// Where things are in the image.
const (
	programPath = "usr/local/bin/authd"
	dataPath    = "var/lib/authd"
)

// file is a file of the image, or a folder if its mode says so. There is nothing else in it: no shell, no libraries.
type file struct {
	name    string // without a slash in front
	mode    os.FileMode
	owner   int
	content []byte
}

// rootFS is what the image of one platform consists of.
type rootFS struct {
	files   []file // sorted by name, folders before what is in them
	modules []module
}

// makeRootFS builds authd for arch and puts beside it what it needs and what must come along.
func makeRootFS(ctx context.Context, s source, arch string) (rootFS, error) {
	dir, err := os.MkdirTemp("", "authd-release-")
	if err != nil {
		return rootFS{}, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "authd")
	if err := build(ctx, s, arch, out); err != nil {
		return rootFS{}, err
	}
	program, err := os.ReadFile(out)
	if err != nil {
		return rootFS{}, err
	}
	modules, err := linked(out)
	if err != nil {
		return rootFS{}, err
	}
	if err := addLicences(ctx, s, modules); err != nil {
		return rootFS{}, err
	}
	own, err := os.ReadFile(filepath.Join(s.folder, "LICENSE"))
	if err != nil {
		return rootFS{}, err
	}
	folder := func(name string, owner int, mode os.FileMode) file {
		return file{name: name, mode: os.ModeDir | mode, owner: owner}
	}
	return rootFS{modules: modules, files: []file{
		folder("etc", 0, 0o755),
		{name: "etc/group", mode: 0o644, content: fmt.Appendf(nil, "authd:x:%d:\n", userID)},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "authd:x:%d:%d::/%s:/sbin/nologin\n", userID, userID, dataPath)},
		folder("etc/ssl", 0, 0o755),
		folder("etc/ssl/certs", 0, 0o755),
		{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: authorities()},
		folder("usr", 0, 0o755),
		folder("usr/local", 0, 0o755),
		folder("usr/local/bin", 0, 0o755),
		{name: programPath, mode: 0o755, content: program},
		folder("usr/share", 0, 0o755),
		folder("usr/share/doc", 0, 0o755),
		folder("usr/share/doc/authd", 0, 0o755),
		{name: "usr/share/doc/authd/LICENSE", mode: 0o644, content: own},
		{name: "usr/share/doc/authd/THIRD-PARTY-LICENSES", mode: 0o644, content: notices(modules)},
		folder("var", 0, 0o755),
		folder("var/lib", 0, 0o755),
		folder(dataPath, userID, 0o700),
	}}, nil
}

func addLicences(ctx context.Context, s source, modules []module) error {
	found, err := sources(ctx, s)
	if err != nil {
		return err
	}
	for i := range modules {
		m := &modules[i]
		f, known := found[m.Path]
		if !known {
			return fmt.Errorf("%s is in the program, but not among authd's packages", m.Path)
		}
		if m.licence, err = readLicences(f); err != nil {
			return fmt.Errorf("%s: %w", m.Path, err)
		}
	}
	return nil
}

// notices is the text of every licence, as most of them ask that it comes along.
func notices(modules []module) []byte {
	var b bytes.Buffer
	for _, m := range modules {
		for _, l := range m.licence {
			fmt.Fprintf(&b, "==== %s %s: %s\n\n%s\n", m.Path, m.Version, l.file, l.text)
		}
	}
	return b.Bytes()
}

// authorities are the certificates that browsers trust, as far as they trust them without a condition that a file of
// certificates cannot state. They come from a module, and so are the same on every machine.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer never fails
		}
	}
	return b.Bytes()
}

// writeRootFS writes the files of one platform's image into a folder that does not exist yet. Owners are left to who
// copies them.
func writeRootFS(ctx context.Context, s source, arch, folder string) error {
	root, err := makeRootFS(ctx, s, arch)
	if err != nil {
		return err
	}
	if err := os.Mkdir(folder, 0o750); err != nil {
		return err
	}
	for _, f := range root.files {
		name := filepath.Join(folder, filepath.FromSlash(f.name))
		if f.mode.IsDir() {
			err = os.Mkdir(name, f.mode.Perm())
		} else {
			err = os.WriteFile(name, f.content, f.mode.Perm())
		}
		if err != nil {
			return err
		}
		if err := os.Chtimes(name, s.time, s.time); err != nil {
			return err
		}
	}
	return nil
}
