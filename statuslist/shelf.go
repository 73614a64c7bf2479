package statuslist

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/authd-project/authd/revocation"
)

// shelf is where a publisher keeps one list. Who makes the list anew holds the lock.
type shelf struct {
	id     ListID
	locked chan struct{} // of one place
	made   atomic.Pointer[Published]

	// generations are the notes as read, under the header that they came with. There is more than one only where the
	// register has lost notes that were read before: tokens that go by them may still live.
	generations []generation
}

type generation struct {
	header Header
	chunks [][]byte // packed notes, by slot
	total  int      // of notes
}

func newShelf(id ListID) *shelf { return &shelf{id: id, locked: make(chan struct{}, 1)} }

func (s *shelf) tryLock() bool {
	select {
	case s.locked <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *shelf) lock(ctx context.Context) error {
	select {
	case s.locked <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *shelf) unlock() { <-s.locked }

// read fetches the notes that have come since it was called last.
func (s *shelf) read(ctx context.Context, r Register) error {
	for {
		from := 0
		if len(s.generations) > 0 {
			from = s.newest().total
		}
		h, total, notes, err := r.Read(ctx, s.id, from)
		if errors.Is(err, ErrNotFound) && from > 0 {
			return nil // the register has lost the list: what was read is all there is
		}
		if err != nil {
			return err
		}
		if len(s.generations) == 0 || s.newest().header != h || total < from {
			again := len(s.generations) > 0
			s.generations = append(s.generations, generation{header: h})
			if again {
				continue // from the start
			}
		}
		if len(notes) == 0 {
			return nil
		}
		g := s.newest()
		g.chunks = append(g.chunks, notes)
		g.total += len(notes) / NoteSize
	}
}

func (s *shelf) newest() *generation { return &s.generations[len(s.generations)-1] }

// list asks about every token.
func (s *shelf) list(ctx context.Context, revocations revocation.Checker) (*List, error) {
	size := 0
	for _, g := range s.generations {
		size = max(size, g.header.Size)
	}
	list, err := NewList(1, size)
	if err != nil {
		return nil, err
	}
	for _, g := range s.generations {
		if err := g.mark(ctx, list, revocations); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// mark sets the status of those tokens that are revoked.
func (g *generation) mark(ctx context.Context, list *List, revocations revocation.Checker) error {
	order, err := newShuffle(g.header.Key, g.header.Size)
	if err != nil {
		return err
	}
	var c revocation.Claims
	slot := 0
	for _, chunk := range g.chunks {
		for len(chunk) > 0 && slot < g.header.Size {
			unpackNote(chunk, &c)
			err := revocations.Check(ctx, c)
			switch {
			case errors.Is(err, revocation.ErrRevoked):
				if err := list.Set(order.index(slot), Invalid); err != nil {
					return err
				}
			case err != nil: // it cannot be told, and a list must not say that the token is valid
				return fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			chunk = chunk[NoteSize:]
			slot++
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return nil
}
