package htpasswd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// settleTime is how long a file must have been left alone: htpasswd and most editors write it in place, and half of
	// it would end the sessions of the users in the other half.
	settleTime = time.Second
	// maxFile bounds the memory that a file can cost: about half a million accounts.
	maxFile = 64 << 20
)

// seen is what is known of the file from looking at it.
type seen struct {
	read    os.FileInfo // when it was last read, or tried
	pending os.FileInfo // changed since, and perhaps still being written
	since   time.Time   // when pending was first seen
	gone    bool        // it could not be looked at
}

// open reads the file for the first time, whenever it was written.
func (s *Source) open() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	s.users, err = read(s.path, info)
	s.seen.read = info
	return err
}

// current returns the users, read again if the file has changed and settled.
func (s *Source) current(ctx context.Context) *users {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err != nil {
		if !s.seen.gone {
			s.log.ErrorContext(ctx, "htpasswd file cannot be read, its users stay as they were", "err", err)
		}
		s.seen.gone = true
		return s.users
	}
	s.seen.gone = false
	if same(info, s.seen.read) || !s.settled(info) {
		return s.users
	}
	s.seen.read = info // also if it is of no use: it must change to be tried again
	users, err := read(s.path, info)
	if err != nil {
		s.log.ErrorContext(ctx, "htpasswd file cannot be used, its users stay as they were", "err", err)
		return s.users
	}
	s.log.InfoContext(ctx, "htpasswd file read again", "users", len(users.names))
	s.users = users
	return users
}

// settled reports whether nobody has written for a while, by the file's own time or, where that cannot be believed, by
// having looked twice.
func (s *Source) settled(info os.FileInfo) bool {
	now := s.now()
	if now.Sub(info.ModTime()) >= settleTime {
		return true
	}
	if s.seen.pending == nil || !same(info, s.seen.pending) {
		s.seen.pending, s.seen.since = info, now
	}
	return now.Sub(s.seen.since) >= settleTime
}

// same reports whether a file is as it was.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
}

// read returns what the file says. Whoever may write it can log in as anybody, so one that all may write is refused.
func read(path string, info os.FileInfo) (*users, error) {
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("others may write it (mode %04o); run: chmod o-w %s", info.Mode().Perm(), path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, errors.New("longer than 64 MiB")
	}
	return parse(text, info.ModTime().UTC())
}
