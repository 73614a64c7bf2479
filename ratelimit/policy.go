package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of a policy. Within them every intermediate result is an integer below 2^53, so that Go and Redis's Lua, whose
// only number is a double, compute exactly the same.
const (
	MaxLimit  = 1_000_000
	MaxWindow = 31 * 24 * time.Hour
	MaxDrain  = 10 * MaxWindow // the longest that a full bucket may take to drain
)

// Algorithm is how units are counted.
type Algorithm uint8

const (
	// FixedWindow admits Limit units in a window that begins with a key's first unit.
	FixedWindow Algorithm = 1 + iota
	// SlidingWindow admits Limit units in the trailing window, estimating the part of the previous window that still
	// counts as if its units had come evenly.
	SlidingWindow
	// TokenBucket admits Burst units at once, and Limit per window in the long run.
	TokenBucket
	// LeakyBucket spaces what it admits evenly, Limit per window: a decision says how long to wait, and at most Burst
	// units may be waiting.
	LeakyBucket
)

// names are the algorithms as configuration spells them.
func names() []string {
	return []string{"fixed-window", "sliding-window", "token-bucket", "leaky-bucket"}
}

// String returns the name as configuration spells it.
func (a Algorithm) String() string {
	if a < FixedWindow || a > LeakyBucket {
		return fmt.Sprintf("Algorithm(%d)", uint8(a))
	}
	return names()[a-FixedWindow]
}

// Policy is a limit: Limit units per Window, counted by Algorithm. Its text form is
//
//	ALGORITHM LIMIT/WINDOW [burst BURST]
//
// such as "sliding-window 100/1m" or "token-bucket 10/1s burst 50"; WINDOW is a Go duration, or a unit alone for one of
// it ("10/s"). The zero Policy is no policy: no limiter accepts it.
type Policy struct {
	Algorithm Algorithm
	Limit     int           // units per Window, 1 to MaxLimit
	Window    time.Duration // whole milliseconds, at most MaxWindow
	// Burst, at most MaxLimit and what drains within MaxDrain, is of the buckets only. Token bucket: units that a key at rest may take at once; 0 means
	// Limit. Leaky bucket: units that may be waiting behind the one being served; 0 means none.
	Burst int
}

// ParsePolicy reads the text form. The error says what is wrong with which part.
func ParsePolicy(text string) (Policy, error) {
	p, err := parse(strings.Fields(text))
	if err == nil {
		err = p.Validate()
	}
	if err != nil {
		return Policy{}, fmt.Errorf("rate limit %q: %w", text, err)
	}
	return p, nil
}

func parse(words []string) (Policy, error) {
	if len(words) != 2 && len(words) != 4 {
		return Policy{}, errors.New(`want ALGORITHM LIMIT/WINDOW [burst BURST], such as "token-bucket 10/1m burst 20"`)
	}
	algorithm, err := parseAlgorithm(words[0])
	if err != nil {
		return Policy{}, err
	}
	limit, window, err := parseRate(words[1])
	if err != nil {
		return Policy{}, err
	}
	p := Policy{Algorithm: algorithm, Limit: limit, Window: window}
	if len(words) == 2 {
		return p, nil
	}
	if words[2] != "burst" {
		return Policy{}, fmt.Errorf("%q after the rate: only burst may follow", words[2])
	}
	if p.Burst, err = parseCount("burst", words[3]); err != nil {
		return Policy{}, err
	}
	return p, nil
}

func parseAlgorithm(name string) (Algorithm, error) {
	for i, known := range names() {
		if name == known {
			return FixedWindow + Algorithm(i), nil
		}
	}
	return 0, fmt.Errorf("unknown algorithm %q: want one of %s", name, strings.Join(names(), ", "))
}

func parseRate(rate string) (limit int, window time.Duration, err error) {
	count, per, found := strings.Cut(rate, "/")
	if !found {
		return 0, 0, fmt.Errorf("rate %q: want LIMIT/WINDOW, such as 10/1m", rate)
	}
	if limit, err = parseCount("limit", count); err != nil {
		return 0, 0, err
	}
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per
	}
	if window, err = time.ParseDuration(per); err != nil {
		return 0, 0, fmt.Errorf("window of rate %q: want a duration such as 30s, 1m or 24h", rate)
	}
	return limit, window, nil
}

// parseCount wants 1 at least: a burst of none is written by leaving it out.
func parseCount(what, text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < 1 || n > MaxLimit {
		return 0, fmt.Errorf("%s %q: want a whole number from 1 to %d", what, text, MaxLimit)
	}
	return int(n), nil
}

// Validate reports every problem at once.
func (p Policy) Validate() error {
	var problems []error
	if p.Algorithm < FixedWindow || p.Algorithm > LeakyBucket {
		problems = append(problems, fmt.Errorf("%v: not one of %s", p.Algorithm, strings.Join(names(), ", ")))
	}
	if p.Limit < 1 || p.Limit > MaxLimit {
		problems = append(problems, fmt.Errorf("limit %d: must be from 1 to %d", p.Limit, MaxLimit))
	}
	if p.Window < time.Millisecond || p.Window > MaxWindow || p.Window%time.Millisecond != 0 {
		problems = append(problems, fmt.Errorf("window %v: must be whole milliseconds, from 1ms to %v", p.Window, MaxWindow))
	}
	if p.Burst < 0 || p.Burst > MaxLimit {
		problems = append(problems, fmt.Errorf("burst %d: must be from 0 to %d", p.Burst, MaxLimit))
	}
	if p.Burst != 0 && (p.Algorithm == FixedWindow || p.Algorithm == SlidingWindow) {
		problems = append(problems, fmt.Errorf("burst: %v has none, it admits its whole limit at once", p.Algorithm))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if most := int64(p.Limit) * int64(MaxDrain/p.Window); int64(p.Capacity()) > most {
		return fmt.Errorf("burst %d: a full bucket must drain within %v, so it may hold %d", p.Burst, MaxDrain, most)
	}
	return nil
}

// Capacity is the most units that one call can take.
func (p Policy) Capacity() int {
	switch {
	case p.Algorithm == TokenBucket && p.Burst > 0:
		return p.Burst
	case p.Algorithm == LeakyBucket:
		return p.Burst + 1 // one being served
	default:
		return p.Limit
	}
}

// LongestDelay is how long the policy may make a request wait: a leaky bucket until all of its burst is served, the others
// not at all.
func (p Policy) LongestDelay() time.Duration {
	if p.Algorithm != LeakyBucket {
		return 0
	}
	return milliseconds(ceilDiv(int64(p.Burst)*p.Window.Milliseconds(), int64(p.Limit)))
}

// String returns the text form.
func (p Policy) String() string {
	text := fmt.Sprintf("%v %d/%s", p.Algorithm, p.Limit, shortDuration(p.Window))
	if p.Burst != 0 {
		text += " burst " + strconv.Itoa(p.Burst)
	}
	return text
}

// shortDuration is d without the zero minutes and seconds that time.Duration prints.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText returns the text form, for YAML, JSON and flags.
func (p Policy) MarshalText() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads the text form.
func (p *Policy) UnmarshalText(text []byte) error {
	parsed, err := ParsePolicy(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}
