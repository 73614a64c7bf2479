package redisstore

import (
	"time"

	"github.com/redis/go-redis/v9"
)

// status is what the set says about itself; see status.lua.
type status struct {
	epoch           string
	seq, oldest     uint64
	live            bool
	replicas        uint64
	beat, confirmed uint64
}

func statusOf(cmd *redis.Cmd) (status, error) {
	a := answerOf(cmd)
	s := status{
		epoch: a.text(), seq: a.number(), oldest: a.number(), live: a.number() == 1,
		replicas: a.number(), beat: a.number(), confirmed: a.number(),
	}
	return s, a.err
}

// holds tells whether a follower that is at seq, in the same epoch, can go on with the stream.
func (s status) holds(seq uint64) bool { return seq == s.seq || seq < s.seq && seq+1 >= s.oldest }

// sightings turn heartbeats that replicas have confirmed into proofs, without comparing clocks. A primary that was cut
// off and replaced goes on answering, and looks healthy; but its heartbeats are no longer confirmed. A heartbeat that is
// confirmed now and had not been written when a request was sent was written after that: so at the time of the request
// this primary was the primary, and what had been acknowledged until then is in its set.
type sightings []sighting

// sighting is the latest moment at which a heartbeat was known to be the latest written.
type sighting struct {
	beat uint64
	sent time.Time // before the request whose answer showed it
}

// maxSightings bounds what is remembered while nothing is confirmed: the heartbeats of ten authds in ten seconds.
const maxSightings = 100

// add notes what the answer to a request showed, and returns the time as of which the set is proven: zero when not.
func (l *sightings) add(sent time.Time, beat, confirmed uint64) (asOf time.Time) {
	s := *l
	if n := len(s); n > 0 && s[n-1].beat == beat {
		s[n-1].sent = sent
	} else {
		s = append(s, sighting{beat, sent})
	}
	for len(s) > 1 && (s[1].beat < confirmed || len(s) > maxSightings) {
		s = s[1:]
	}
	*l = s
	if s[0].beat < confirmed {
		return s[0].sent
	}
	return time.Time{}
}
