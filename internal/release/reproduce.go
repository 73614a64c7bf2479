package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// reproduce builds authd from two copies of the source in two folders, with two caches of the go command, and compares the
// programs. The second cache is kept in the user's folder of caches: the first run compiles everything, which takes minutes.
func reproduce(ctx context.Context, s source, arch string, stdout io.Writer) (err error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "authd-reproduce-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	var programs [][]byte
	for name, cache := range map[string]string{"here": "", "some/where/else": filepath.Join(caches, "authd-reproduce")} {
		c := source{folder: filepath.Join(folder, name), version: s.version, cache: cache}
		if err := copySource(ctx, s.folder, c.folder); err != nil {
			return fmt.Errorf("copying the source: %w", err)
		}
		program := filepath.Join(c.folder, "authd")
		if err := build(ctx, c, arch, program); err != nil {
			return err
		}
		content, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		programs = append(programs, content)
	}
	return compare(programs[0], programs[1], stdout)
}

// compare reports the digest of a program, or that the other one is another.
func compare(program, other []byte, stdout io.Writer) error {
	if !bytes.Equal(program, other) {
		return fmt.Errorf("two builds of one source differ: %x, %x", sha256.Sum256(program), sha256.Sum256(other))
	}
	_, err := fmt.Fprintf(stdout, "authd is the same from two folders: sha256 %x\n", sha256.Sum256(program))
	return err
}

// copySource copies what git would, changes included, to another folder: builds must not differ because somebody edits. What
// is no repository is copied whole.
func copySource(ctx context.Context, from, to string) error {
	list, err := git(ctx, from, "ls-files", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return os.CopyFS(to, os.DirFS(from))
	}
	for name := range strings.Lines(list) {
		name = strings.TrimSpace(name)
		content, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), content, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
