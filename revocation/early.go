package revocation

// early is what a mirror was told before its feed brought it, until the feed does, as a change with a position. A follower
// that comes from elsewhere with a position is told all of it. It may lie in the history before that position, which the
// follower skips; and should the feed begin anew meanwhile, the entry comes in a snapshot, where it is no news.
//
// Guarded by the mirror's lock.
type early map[identified]Entry

// identified names an entry in any set.
type identified struct {
	kind Kind
	id   ID
}

// add notes those of the entries that are news to the set.
func (l *early) add(s *Set, entries []Entry) {
	for _, e := range entries {
		known, held := s.Entry(e.Kind, e.ID)
		if e.Validate() != nil || held && covers(known, e) {
			continue
		}
		if *l == nil {
			*l = early{}
		}
		at := identified{e.Kind, e.ID}
		if before, ok := (*l)[at]; ok {
			e = before.Merge(e)
		}
		(*l)[at] = e
	}
}

// heard takes out what the feed has brought.
func (l early) heard(entries []Entry) {
	if len(l) == 0 {
		return
	}
	for _, e := range entries {
		at := identified{e.Kind, e.ID}
		if covers(e, l[at]) {
			delete(l, at)
		}
	}
}

// covers tells whether e revokes at least what o does, for at least as long.
func covers(e, o Entry) bool { return e.NotBefore >= o.NotBefore && e.Expires >= o.Expires }

// forget drops what expires at or before floor.
func (l early) forget(floor int64) {
	for at, e := range l {
		if e.Expires <= floor {
			delete(l, at)
		}
	}
}

func (l early) appendTo(entries []Entry) []Entry {
	for _, e := range l {
		entries = append(entries, e)
	}
	return entries
}
