package election

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Solo is the Elector of a process that is alone by construction: it holds the exclusive lock of the embedded store's
// file, so no other candidate can exist while it lives.
type Solo struct {
	identity string
	now      func() time.Time
	leading  atomic.Bool
}

var _ Elector = (*Solo)(nil)

// NewSolo returns the Elector of the only candidate there is. identity is the name that Leader answers.
func NewSolo(identity string, now func() time.Time) *Solo { return &Solo{identity: identity, now: now} }

// Lead calls work at once, and again should it return nil before ctx ends.
func (s *Solo) Lead(ctx context.Context, work func(ctx context.Context) error) error {
	s.leading.Store(true)
	defer s.leading.Store(false)
	for ctx.Err() == nil {
		if err := work(ctx); err != nil && !(ctx.Err() != nil && errors.Is(err, ctx.Err())) {
			return fmt.Errorf("leading as %s: %w", s.identity, err)
		}
	}
	return nil
}

// Leader answers the own identity while Lead runs.
func (s *Solo) Leader(context.Context) (holder string, asOf time.Time, err error) {
	if !s.leading.Load() {
		return "", s.now(), nil
	}
	return s.identity, s.now(), nil
}
