// Package logfile keeps audit events in a file, one line each, so that a changed or missing line shows.
//
// The file is only ever appended to, has mode 0600, and is opened anew when it was renamed or removed: rotating it needs no
// signal. Each line carries in "prev" the SHA-256 of the line before, also over the end of one file and the beginning of the
// next. [Verify] follows that chain. Whoever can write to the file can make a new chain, so an end of the chain that is kept
// somewhere else is what proves that nothing before it was changed.
//
// A line is in the file, and survives the end of the process, before it counts as kept. It survives a power cut after the next
// sync, which comes [Config].SyncEvery later at most, or before it counts as kept.
package logfile

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/authd-project/authd/audit"
)

// Config says where the file is. Path is required.
type Config struct {
	Path string
	// SyncEvery is how often what was written is synced to the disk; 0 means within each write.
	SyncEvery time.Duration
}

// File is an audit sink. Methods may be called concurrently.
type File struct {
	cfg Config

	mu    sync.Mutex
	file  *os.File
	head  string // of the chain: the hash of the last line; empty before the first
	torn  bool   // the file ends within a line
	dirty bool   // something was written since the last sync
	err   error  // of a sync in the background; the next Write returns it

	stop, done chan struct{}
}

// Open opens or creates the file, and goes on with its chain.
func Open(cfg Config) (*File, error) {
	f := &File{cfg: cfg, stop: make(chan struct{}), done: make(chan struct{})}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("audit file: %w", err)
	}
	if err := f.reopen(); err != nil {
		return nil, err
	}
	var err error
	if f.head, f.torn, err = lastLine(f.file); err != nil {
		f.file.Close()
		return nil, fmt.Errorf("audit file %s: reading its last line: %w", cfg.Path, err)
	}
	go f.syncing()
	return f, nil
}

// reopen opens the file at the path. mu is held, or nobody else has f.
func (f *File) reopen() error {
	file, err := os.OpenFile(f.cfg.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("audit file: %w", err)
	}
	if f.file != nil {
		f.err = errors.Join(f.err, f.file.Sync(), f.file.Close())
	}
	f.file, f.torn = file, false
	return nil
}

// Write implements [audit.Sink].
func (f *File) Write(_ context.Context, entries []audit.Entry) (kept int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.follow(); err != nil {
		return 0, err
	}
	var text []byte
	if f.torn {
		text = append(text, '\n')
	}
	start, ends, head := len(text), make([]int, len(entries)), f.head
	heads := make([]string, len(entries))
	for i, e := range entries {
		before := len(text)
		text = chain(text, e.Line, head)
		head = hash(text[before:])
		text = append(text, '\n')
		ends[i], heads[i] = len(text), head
	}
	n, err := f.file.Write(text)
	f.dirty = f.dirty || n > 0
	if n >= start {
		f.torn = false
	}
	for kept < len(ends) && ends[kept] <= n {
		f.head = heads[kept]
		kept++
	}
	if err != nil {
		f.untear(n, kept, start, ends)
		return kept, fmt.Errorf("writing the audit file: %w", err)
	}
	if f.cfg.SyncEvery == 0 {
		if err := f.sync(); err != nil {
			return 0, err // they come again: twice in the file is better than not on the disk
		}
	}
	return kept, f.takeError()
}

// untear takes away what was written of a line that did not fit in, as when the disk is full.
func (f *File) untear(n, kept, start int, ends []int) {
	whole := start
	if kept > 0 {
		whole = ends[kept-1]
	}
	if n <= whole {
		return
	}
	info, err := f.file.Stat()
	if err != nil || f.file.Truncate(info.Size()-int64(n-whole)) != nil {
		f.torn = true
	}
}

// follow opens the file anew if the path names another one by now.
func (f *File) follow() error {
	is, err := os.Stat(f.cfg.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("audit file: %w", err)
	}
	if err == nil {
		have, err := f.file.Stat()
		if err != nil {
			return fmt.Errorf("audit file: %w", err)
		}
		if os.SameFile(is, have) {
			return nil
		}
	}
	return f.reopen()
}

func (f *File) takeError() error {
	err := f.err
	f.err = nil
	return err
}

func (f *File) sync() error {
	if !f.dirty {
		return nil
	}
	f.dirty = false
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("syncing the audit file: %w", err)
	}
	return nil
}

// syncing syncs in the background.
func (f *File) syncing() {
	defer close(f.done)
	if f.cfg.SyncEvery == 0 {
		return
	}
	ticker := time.NewTicker(f.cfg.SyncEvery)
	defer ticker.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-ticker.C:
		}
		f.mu.Lock()
		f.err = errors.Join(f.err, f.sync())
		f.mu.Unlock()
	}
}

// Close syncs and closes the file. It must be called once, after the last Write.
func (f *File) Close() error {
	close(f.stop)
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.takeError(), f.sync(), f.file.Close())
}

// chain appends a line with its link to the one before. The first line of a chain has none.
func chain(text, line []byte, prev string) []byte {
	if prev == "" {
		return append(text, line...)
	}
	text = append(text, line[:len(line)-1]...) // without the brace
	text = append(text, `,"prev":"`...)
	text = append(text, prev...)
	return append(text, `"}`...)
}

// hash names a line, without its line break.
func hash(line []byte) string {
	sum := sha256.Sum256(line)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// lastLine returns the hash of the last whole line of a file, and whether something that is none comes after it.
func lastLine(file *os.File) (head string, torn bool, err error) {
	info, err := file.Stat()
	if err != nil {
		return "", false, err
	}
	size := info.Size()
	tail := make([]byte, min(size, maxLine*2))
	if _, err := file.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	line, torn, found := lastWhole(tail)
	if !found {
		return "", torn, nil
	}
	return hash(line), torn, nil
}
