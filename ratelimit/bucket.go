package ratelimit

// bucket is a vessel that drains at a steady rate: of a token bucket, where its level is the tokens that were spent and
// not yet replaced.
type bucket struct {
	rate     int64 // shares a millisecond: the policy's limit
	window   int64 // shares a unit: milliseconds
	capacity int64 // shares
}

func (b bucket) advance(s State, now int64) State {
	elapsed := now - s.At
	if elapsed >= ceilDiv(s.Level, b.rate) { // compared so, not multiplied: of a key never seen, elapsed is huge
		return State{At: now}
	}
	return State{At: now, Level: s.Level - elapsed*b.rate}
}

func (b bucket) used(s State, _ int64) int64 { return s.Level }

func (b bucket) add(s State, n int64) State {
	s.Level += n * b.window
	return s
}

func (b bucket) remove(s State, n, _ int64) State {
	s.Level = max(0, s.Level-n*b.window)
	return s
}

func (b bucket) wait(s State, _, n int64) int64 {
	return ceilDiv(s.Level+n*b.window-b.capacity, b.rate)
}

func (b bucket) reset(s State, _ int64) int64 { return ceilDiv(s.Level, b.rate) }

// leakyBucket is the same vessel, but its level is the work ahead of whoever comes next, who has to wait level/rate. It
// holds the one being served and those that wait.
type leakyBucket struct{ bucket }

// remove gives nothing back: those behind have been told their times, and whoever took the place would meet the last of
// them.
func (b leakyBucket) remove(s State, _, _ int64) State { return s }
