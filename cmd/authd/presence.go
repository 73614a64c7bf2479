package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// presenceLook is how often the files of the data folder are looked for.
const presenceLook = 2 * time.Second

// watchPresence fails when a file of the data folder is gone or another one is in its place. What a process writes to a file
// that has no name any more is acknowledged, and lost with the process: better to end before there is much of it.
func (a *app) watchPresence(ctx context.Context) error {
	found, err := filesIn(a.cfg.Data)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(presenceLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for name, was := range found {
			now, err := os.Stat(name)
			if err == nil && !os.SameFile(was, now) {
				err = errors.New("another file is in its place")
			}
			if err != nil {
				return fmt.Errorf("%s was taken away from under authd: what was changed since is lost. Restore a backup: %w", name, err)
			}
		}
	}
}

// filesIn returns the files of the data folder that authd keeps open.
func filesIn(data string) (map[string]os.FileInfo, error) {
	found := make(map[string]os.FileInfo)
	for _, name := range []string{stateFile, usersFile, factorsFile} {
		name = filepath.Join(data, name)
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // it is kept elsewhere
		}
		if err != nil {
			return nil, err
		}
		found[name] = info
	}
	return found, nil
}
