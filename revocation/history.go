package revocation

// history is a mirror's memory of its latest changes, for followers that lag or come back. A follower reads it by
// index, which counts all changes ever made. Whoever falls out of it gets everything anew.
//
// Guarded by the mirror's lock.
type history struct {
	ring  []change // grows up to limit; the change with index i, if still held, is ring[i%limit]
	limit int
	next  uint64   // index of the next change
	floor Position // the position before the oldest change held, zero when that is within a batch
	now   Position // the position after the latest change
}

// change is one entry as it was merged, and the position that was reached with it: zero where it is one of several
// that arrived together and not the last, part of a snapshot, or known here before the feed brought it.
type change struct {
	entry    Entry // Kind zero: nothing but the position changed
	position Position
	// heard is when it became known here, in Unix milliseconds, if that was soon after it was written: it was news, and
	// the mirror was fresh. Otherwise zero.
	heard int64
}

// oldest returns the index of the oldest change held.
func (h *history) oldest() uint64 { return h.next - uint64(len(h.ring)) }

// reach notes that p is reached, with the latest change if that belongs to it, else on its own.
func (h *history) reach(p Position, belongs bool) {
	switch {
	case p == (Position{}):
		return
	case belongs && h.limit > 0:
		h.ring[(h.next-1)%uint64(h.limit)].position = p
	case p != h.now:
		h.append(change{position: p})
	}
	h.now = p
}

// append remembers c as the latest change, in the place of the oldest when there is no more room.
func (h *history) append(c change) {
	h.next++
	if len(h.ring) < h.limit {
		h.ring = append(h.ring, c)
		return
	}
	gone := c // with a limit of zero nothing is held
	if h.limit > 0 {
		slot := &h.ring[(h.next-1)%uint64(h.limit)]
		gone, *slot = *slot, c
	}
	h.floor = gone.position
}

func (h *history) at(i uint64) change { return h.ring[i%uint64(h.limit)] }

// after returns the index of the first change that a follower at p may lack. held is false when the history does not
// reach back to p, or p is of another epoch or ahead of all that is known here.
func (h *history) after(p Position) (index uint64, held bool) {
	if p == (Position{}) || p.Epoch != h.now.Epoch || p.Seq > h.now.Seq {
		return 0, false
	}
	for i := h.next; i > h.oldest(); i-- {
		if reached := h.at(i - 1).position; reached.Epoch == p.Epoch && reached.Seq <= p.Seq {
			return i, true
		}
	}
	return h.oldest(), h.floor.Epoch == p.Epoch && h.floor.Seq <= p.Seq
}
