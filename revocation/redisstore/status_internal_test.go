package redisstore

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A proof is the latest moment at which a request was sent whose answer showed less than what is confirmed now. Checked
// against the definition, with a server whose heartbeats are confirmed late, out of step, or never.
func TestSightings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l sightings
		type answer struct {
			sent time.Time
			beat uint64
		}
		var all []answer
		var beat, confirmed uint64
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 60).Draw(t, "rounds") {
			now = now.Add(time.Second)
			beat += rapid.Uint64Range(0, 3).Draw(t, "beats")
			if rapid.Bool().Draw(t, "confirms") {
				confirmed = rapid.Uint64Range(confirmed, beat).Draw(t, "confirmed")
			}
			all = append(all, answer{now, beat})
			var want time.Time
			for _, a := range all {
				if a.beat < confirmed {
					want = a.sent
				}
			}
			if got := l.add(now, beat, confirmed); !got.Equal(want) {
				t.Fatalf("beat %d, confirmed %d: proven as of %v, want %v", beat, confirmed, got, want)
			}
		}
	})
}

func TestSightingsAreBounded(t *testing.T) {
	var l sightings
	for i := range uint64(10 * maxSightings) {
		if asOf := l.add(time.Unix(int64(i), 0), i, 0); !asOf.IsZero() {
			t.Fatalf("proven as of %v, though nothing was ever confirmed", asOf)
		}
	}
	if len(l) > maxSightings {
		t.Errorf("%d sightings are kept, want %d at most", len(l), maxSightings)
	}
}

func TestStatusHolds(t *testing.T) {
	s := status{seq: 10, oldest: 5}
	for seq, want := range map[uint64]bool{3: false, 4: true, 9: true, 10: true, 11: false} {
		if got := s.holds(seq); got != want {
			t.Errorf("holds(%d) = %v", seq, got)
		}
	}
	trimmed := status{seq: 10, oldest: 11}
	for seq, want := range map[uint64]bool{9: false, 10: true, 11: false} {
		if got := trimmed.holds(seq); got != want {
			t.Errorf("with an empty stream, holds(%d) = %v", seq, got)
		}
	}
}
