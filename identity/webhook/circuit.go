package webhook

import (
	"sync"
	"time"
)

const (
	tolerated     = 5 // failures in a row after which the receiver is left alone
	shortestPause = time.Second
	longestPause  = 30 * time.Second
)

// outcome is how a request ended.
type outcome int

const (
	answered outcome = iota
	failed           // no answer
	left             // the caller did not wait
)

// circuit leaves a receiver alone that does not answer: for a second at first, and twice as long after each try that
// fails. Then one request tries. The zero value lets everything through.
type circuit struct {
	mu       sync.Mutex
	failures int // in a row
	pause    time.Duration
	until    time.Time // of the pause
	trying   bool
}

// enter reports whether a request may be sent. leave must be called after true.
func (c *circuit) enter(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < tolerated {
		return true
	}
	if c.trying || now.Before(c.until) {
		return false
	}
	c.trying = true
	return true
}

func (c *circuit) leave(now time.Time, o outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trying = false
	switch o {
	case answered:
		c.failures, c.pause = 0, 0
	case failed:
		c.failures++
		if c.failures >= tolerated && !now.Before(c.until) { // of many at once the first counts
			c.pause = min(max(2*c.pause, shortestPause), longestPause)
			c.until = now.Add(c.pause)
		}
	}
}

// state returns nil while the receiver answers.
func (c *circuit) state(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures >= tolerated && now.Before(c.until) {
		return errLeftAlone
	}
	return nil
}
