// Package boltfile is the embedded default's one durable file: bbolt with a group commit of its own.
//
// bbolt allows one writing transaction at a time and syncs the file at the end of each, so concurrent writers would
// queue behind each other's fsync. Here one goroutine takes every update that is waiting, runs them in one transaction
// and syncs once: a lone writer waits for nothing, and many share the price. An update is acknowledged only after the
// sync.
package boltfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrLocked means that another process has the file open.
	ErrLocked = errors.New("file is in use by another process")
	// ErrClosed means that the file was closed.
	ErrClosed = errors.New("file is closed")
)

const (
	// lockTimeout is how long Open waits for another process that is just ending.
	lockTimeout = 500 * time.Millisecond
	// maxGroup bounds how many updates share a transaction, so that the first of them is not kept waiting.
	maxGroup = 1024
)

// File is an open store file, held under an exclusive lock. Methods may be called concurrently.
type File struct {
	db      *bbolt.DB
	path    string
	info    os.FileInfo // of the file as it was opened
	updates chan *update
	closing chan struct{} // closed by Close: no update is accepted any more
	done    chan struct{} // closed when the committer has ended
	once    sync.Once
	closed  error // what closing it came to, once that was done
}

type update struct {
	ctx  context.Context
	fn   func(*bbolt.Tx) error
	done chan error // buffered, so the committer never waits for a caller
}

// Open opens or creates the file with mode 0600, and its folder with mode 0700. A file that is damaged, or that is gone although
// there was one, gives ErrDamaged or ErrMissing.
func Open(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("creating the folder of %s: %w", path, err)
	}
	if err := check(path); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("opening %s: %w", path, ErrLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err := errors.Join(err, noteOpened(path)); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	f := &File{
		db:      db,
		path:    path,
		info:    info,
		updates: make(chan *update, maxGroup),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	go f.commit()
	return f, nil
}

// View runs fn in a transaction that reads one consistent state.
func (f *File) View(fn func(*bbolt.Tx) error) error {
	err := f.db.View(fn)
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return ErrClosed
	}
	return err
}

// Update runs fn in a writing transaction and returns once its effects are synced to disk. fn runs on another
// goroutine, may share its transaction with other updates, and may run more than once: it must set what it captures
// afresh each time. An error from fn undoes fn's own effects and no others. When ctx ends first, the outcome is unknown.
func (f *File) Update(ctx context.Context, fn func(*bbolt.Tx) error) error {
	u := &update{ctx: ctx, fn: fn, done: make(chan error, 1)}
	select {
	case <-f.closing:
		return ErrClosed
	default:
	}
	select {
	case f.updates <- u:
	case <-f.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-u.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-f.done:
		// The committer answers all it took before it ends, so an answer, if there is one, is here already.
		select {
		case err := <-u.done:
			return err
		default:
			return ErrClosed
		}
	}
}

// Close commits the updates already accepted, releases the lock and closes the file.
func (f *File) Close() error {
	f.once.Do(func() {
		close(f.closing)
		<-f.done
		f.closed = f.db.Close()
		if f.closed == nil && f.Present() == nil {
			f.closed = noteClosed(f.path)
		}
	})
	return f.closed
}

// Present reports whether the file is still where it was opened. Whoever goes on without loses everything with the process.
func (f *File) Present() error {
	info, err := os.Stat(f.path)
	if err == nil && !os.SameFile(info, f.info) {
		err = errors.New("another file is in its place")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	return nil
}

// commit is the one goroutine that writes.
func (f *File) commit() {
	defer close(f.done)
	for {
		select {
		case u := <-f.updates:
			f.commitGroup(f.group(u))
		case <-f.closing:
			for {
				select {
				case u := <-f.updates:
					f.commitGroup(f.group(u))
				default:
					return
				}
			}
		}
	}
}

// group takes what else is waiting, without waiting for more.
func (f *File) group(first *update) []*update {
	group := []*update{first}
	for len(group) < maxGroup {
		select {
		case u := <-f.updates:
			group = append(group, u)
		default:
			return group
		}
	}
	return group
}

// commitGroup runs the group in one transaction. bbolt has no savepoints, so an update that fails takes the
// transaction with it: it gets its error, and the others run again without it.
func (f *File) commitGroup(group []*update) {
	for len(group) > 0 {
		failed := -1
		err := f.db.Update(func(tx *bbolt.Tx) error {
			for i, u := range group {
				if err := run(u, tx); err != nil {
					failed = i
					return err
				}
			}
			return nil
		})
		if failed < 0 { // committed, or the commit itself failed: for all alike
			for _, u := range group {
				u.done <- err
			}
			return
		}
		group[failed].done <- err
		group = append(group[:failed], group[failed+1:]...)
	}
}

// run turns a panic of fn into an error: the committer serves everybody and must not die of one caller.
func run(u *update, tx *bbolt.Tx) (err error) {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("update panicked: %v", p)
		}
	}()
	return u.fn(tx)
}
