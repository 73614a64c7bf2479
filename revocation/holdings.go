package revocation

import "time"

// Holding is what a mirror holds about one token on one axis.
type Holding struct {
	Kind Kind
	// Held tells whether there is an entry for this token's identifier. On the axes with a cut-off it need not hit.
	Held  bool
	Entry Entry // zero unless Held
	Hits  bool  // the entry revokes the token
	// Heard is when this mirror learned of the entry: of its present cut-off, or of an earlier one that hit too. It is at most
	// MaxStaleness after the entry was written. Zero when it cannot be told: the entry came with a snapshot or after an
	// outage, or was heard of so many changes ago that the history no longer holds it.
	Heard time.Time
}

// hits tells whether e, an entry for an identifier of the token that has these claims, revokes the token.
func (e Entry) hits(c *Claims) bool { return e.NotBefore == 0 || c.IssuedAt < e.NotBefore }

// on returns the token's identifier on an axis.
func (c *Claims) on(k Kind) ID {
	switch k {
	case Token:
		return c.Token
	case Session:
		return c.Session
	case Subject:
		return c.Subject
	case Client:
		return c.Client
	case Key:
		return c.Key
	}
	return ID{}
}

// Holdings tells what the mirror holds about a token, on every axis in the order of the kinds: which entry it is that
// [Mirror.Check] answers for, and what else there is. It is for people who ask why: it reads the whole history, and changes
// wait meanwhile, though checks do not.
func (m *Mirror) Holdings(c Claims) []Holding {
	list := make([]Holding, 0, Everything)
	for k := Token; k <= Everything; k++ {
		h := Holding{Kind: k}
		if e, held := m.set.Entry(k, c.on(k)); held {
			h.Held, h.Entry, h.Hits = true, e, e.hits(&c)
		}
		list = append(list, h)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var seen [Everything + 1]bool
	for i := m.history.oldest(); i < m.history.next; i++ {
		change := m.history.at(i)
		e := change.entry
		if e.Kind == 0 || seen[e.Kind] || e.ID != c.on(e.Kind) {
			continue
		}
		h := &list[e.Kind-Token]
		if !h.Held || e.NotBefore != h.Entry.NotBefore && !e.hits(&c) {
			continue
		}
		seen[e.Kind] = true
		if change.heard != 0 {
			h.Heard = time.UnixMilli(change.heard)
		}
	}
	return list
}
