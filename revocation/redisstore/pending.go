package redisstore

import (
	"time"

	"github.com/authd-project/authd/revocation"
)

// pending are the entries that Add was called with and has not acknowledged. The process answers for them: they are
// written again until it may acknowledge them.
type pending map[name]pendingEntry

type name struct {
	kind revocation.Kind
	id   revocation.ID
}

type pendingEntry struct {
	entry revocation.Entry
	adds  int // calls under way
}

func (p pending) begin(entries []revocation.Entry) {
	for _, e := range entries {
		n := name{e.Kind, e.ID}
		old := p[n]
		if old.entry.Kind != 0 {
			e = old.entry.Merge(e)
		}
		p[n] = pendingEntry{entry: e, adds: old.adds + 1}
	}
}

// failed ends a call; its entries stay.
func (p pending) failed(entries []revocation.Entry) {
	for _, e := range entries {
		n := name{e.Kind, e.ID}
		if old, ok := p[n]; ok { // else a call with the same entry has succeeded
			old.adds = max(0, old.adds-1)
			p[n] = old
		}
	}
}

// done ends a call; its entries go, unless a stricter one has come.
func (p pending) done(entries []revocation.Entry) {
	p.failed(entries)
	for _, e := range entries {
		n := name{e.Kind, e.ID}
		if old, ok := p[n]; ok && old.entry.Merge(e) == e {
			delete(p, n)
		}
	}
}

// waiting returns the unexpired entries that no call is adding, and forgets the expired ones.
func (p pending) waiting(now time.Time) (list []revocation.Entry) {
	for n, e := range p {
		switch {
		case e.adds > 0:
		case e.entry.Expired(now):
			delete(p, n)
		default:
			list = append(list, e.entry)
		}
	}
	return list
}
