package revocation

import (
	"context"
	"time"
)

const (
	// beat is how often a follower hears from the mirror when nothing happens: well within the second that [Feed]
	// promises.
	beat = 500 * time.Millisecond
	// page is the most entries in one batch.
	page = 1024
)

// Follow lets others follow the mirror, as [Feed] says: a process that holds a mirror can feed many. Positions are
// those of the mirror's own feed, so a follower may go on at another mirror of the same store. A proof is never newer
// than the mirror's own; while the mirror itself is stale, batches come without news.
func (m *Mirror) Follow(ctx context.Context, from Position, apply func(Batch) error) error {
	f := follower{mirror: m, apply: apply, position: from}
	alive := time.NewTimer(beat)
	defer alive.Stop()
	for {
		changed := m.changed.Next() // before the look, so that no change falls between it and the wait
		if err := f.catchUp(ctx); err != nil {
			return err
		}
		alive.Reset(beat)
		select {
		case <-changed:
		case <-alive.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type follower struct {
	mirror   *Mirror
	apply    func(Batch) error
	position Position // where it starts
	started  bool     // cursor is valid
	cursor   uint64   // index in the history of the next change to deliver
	entries  []Entry  // scratch
}

// catchUp delivers all there is, and says at least that the feed lives.
func (f *follower) catchUp(ctx context.Context) error {
	for {
		if !f.mirror.filled() {
			return f.apply(Batch{})
		}
		b, more, lagged := f.next()
		var err error
		if lagged {
			err = f.everything(ctx)
		} else {
			err = f.apply(b)
		}
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (m *Mirror) filled() bool { return m.asOf.Load() != nil }

// next takes the changes after the cursor. lagged tells that the history no longer reaches back to it.
func (f *follower) next() (b Batch, more, lagged bool) {
	m := f.mirror
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &m.history
	f.entries = f.entries[:0]
	if !f.started {
		f.cursor, f.started = h.after(f.position)
		f.entries = m.early.appendTo(f.entries)
	}
	if !f.started || f.cursor < h.oldest() {
		return Batch{}, true, true
	}
	for n := 0; f.cursor < h.next && n < page; n++ {
		c := h.at(f.cursor)
		f.cursor++
		if c.entry.Kind != 0 {
			f.entries = append(f.entries, c.entry)
		}
		if c.position != (Position{}) {
			b.Position = c.position
		}
	}
	b.Entries = f.entries
	more = f.cursor < h.next
	if asOf := m.asOf.Load(); !more && asOf != nil {
		b.AsOf = *asOf // the lock makes it one with the changes: no later proof can have come in between
	}
	return b, more, false
}

// everything delivers the whole set. Entries only grow, so it need not be of one moment: what is merged while it is
// being read comes again as a change.
func (f *follower) everything(ctx context.Context) error {
	m := f.mirror
	m.mu.Lock()
	cursor, position := m.history.next, m.history.now
	m.mu.Unlock()

	f.entries = f.entries[:0]
	for e := range m.set.All(floorAt(m.cfg.Now())) {
		f.entries = append(f.entries, e)
		if len(f.entries) < page {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.apply(Batch{Entries: f.entries}); err != nil {
			return err
		}
		f.entries = f.entries[:0]
	}
	f.cursor, f.started = cursor, true
	return f.apply(Batch{Entries: f.entries, Position: position})
}
