package ratelimit

// fixedWindow counts the units of a window that begins with a key's first unit, so that keys do not all reset at once.
// Two full windows may meet: up to 2×limit-1 units pass in a moment around the boundary.
type fixedWindow struct {
	limit  int64
	window int64 // milliseconds
}

func (f fixedWindow) advance(s State, now int64) State {
	if now-s.At >= f.window {
		return State{At: now}
	}
	return s
}

func (f fixedWindow) used(s State, _ int64) int64 { return s.Level * f.window }

func (f fixedWindow) add(s State, n int64) State {
	s.Level += n
	return s
}

func (f fixedWindow) remove(s State, n, at int64) State {
	if s.At == at {
		s.Level = max(0, s.Level-n)
	}
	return s
}

func (f fixedWindow) wait(s State, now, _ int64) int64 { return s.At + f.window - now }

func (f fixedWindow) reset(s State, now int64) int64 {
	if s.Level == 0 {
		return 0
	}
	return s.At + f.window - now
}

// slidingWindow keeps two counters and assumes that the units of the window before came evenly: when a quarter of this
// window is over, three quarters of the one before still count. Windows of a key follow each other without a gap while
// it is in use.
type slidingWindow struct {
	limit  int64
	window int64 // milliseconds
}

func (w slidingWindow) advance(s State, now int64) State {
	switch elapsed := now - s.At; {
	case elapsed >= 2*w.window || elapsed >= w.window && s.Level == 0: // nothing counts: begin anew
		return State{At: now}
	case elapsed >= w.window:
		return State{At: s.At + w.window, Previous: s.Level}
	default:
		return s
	}
}

func (w slidingWindow) used(s State, now int64) int64 {
	return s.Previous*(w.window-(now-s.At)) + s.Level*w.window
}

func (w slidingWindow) add(s State, n int64) State {
	s.Level += n
	return s
}

func (w slidingWindow) remove(s State, n, at int64) State {
	switch s.At {
	case at:
		s.Level = max(0, s.Level-n)
	case at + w.window:
		s.Previous = max(0, s.Previous-n)
	}
	return s
}

// wait solves used + n units <= limit for the time: in this window if its own units leave room, or else in the next,
// where they are the previous ones.
func (w slidingWindow) wait(s State, now, n int64) int64 {
	end := s.At + w.window
	if room := w.limit - s.Level - n; room >= 0 { // so Previous is what stands in the way, and is not 0
		return end - room*w.window/s.Previous - now
	}
	room := w.limit - n // in the next window; Level is more than that, so not 0
	return end + w.window - room*w.window/s.Level - now
}

func (w slidingWindow) reset(s State, now int64) int64 {
	switch {
	case s.Level > 0:
		return s.At + 2*w.window - now
	case s.Previous > 0:
		return s.At + w.window - now
	default:
		return 0
	}
}
