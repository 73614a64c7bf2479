package leaselock

import (
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// sights is what a process has seen of the Lease. The zero value has seen nothing.
type sights struct {
	mu     sync.Mutex
	last   resourcelock.LeaderElectionRecord
	looked time.Time // before the API server was asked for last
	as     time.Time // when last led to be true, by the own clock
}

// see takes note of what the API server answered to a question of that time. When the record changed since the look
// before, it did so in between; the holder's clock, which may be wrong, says when.
func (s *sights) see(record resourcelock.LeaderElectionRecord, asked time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked.Before(s.looked) {
		return // an answer that was overtaken
	}
	if !sameRecord(record, s.last) || s.looked.IsZero() {
		s.as = record.RenewTime.Time
		if s.as.Before(s.looked) {
			s.as = s.looked
		}
		if s.as.After(asked) {
			s.as = asked
		}
	}
	s.last, s.looked = record, asked
}

// sameRecord tells whether nobody has renewed in between.
func sameRecord(a, b resourcelock.LeaderElectionRecord) bool {
	return a.HolderIdentity == b.HolderIdentity && a.RenewTime.Time.Equal(b.RenewTime.Time)
}

// everHeld tells whether the Lease, as far as this process knows, has had a holder.
func (s *sights) everHeld() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.HolderIdentity != "" || !s.last.RenewTime.IsZero()
}

func (s *sights) lookedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looked
}

// leader returns the candidate that led when last seen, unless its lease has run out since.
func (s *sights) leader(now time.Time) (candidate string, asOf time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lease := time.Duration(s.last.LeaseDurationSeconds) * time.Second
	if s.last.HolderIdentity == "" || now.Sub(s.as) >= lease {
		return "", s.looked
	}
	return s.last.HolderIdentity, s.as
}
