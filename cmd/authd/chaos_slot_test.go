package main_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slot is the place of one authd, which may be down at times.
type slot struct {
	line
	n    int
	data string
	args []string

	mu     sync.Mutex
	server *server // nil while it is down
	frozen bool
	thawed time.Time
	was    int // refusals of those that were here before
}

// current returns the authd, or nil while it is down or frozen.
func (s *slot) current() *server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen {
		return nil
	}
	return s.server
}

func (s *slot) up() bool { return s.current() != nil }

func (s *slot) kill() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	server.kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.was += countRefusals(server)
}

func (s *slot) freeze() { s.signal(true, syscall.SIGSTOP) }
func (s *slot) thaw()   { s.signal(false, syscall.SIGCONT) }

// dazed tells whether what was asked at that time may be answered by one that woke up and has not looked at the clock.
func (s *slot) dazed(asked time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return asked.Before(s.thawed.Add(time.Second))
}

func (s *slot) signal(frozen bool, sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = frozen
	if !frozen {
		s.thawed = time.Now()
	}
	_ = s.server.cmd.Process.Signal(sig)
}

// refusals is how many of its writes this authd knows to have been refused.
func (s *slot) refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.was + countRefusals(s.server)
}

func countRefusals(s *server) int {
	if s == nil {
		return 0
	}
	return strings.Count(s.out.String(), `"msg":"a write of the key ring was refused"`)
}

// startSlots starts an authd on each line.
func startSlots(t *testing.T, lines []line, args []string) []*slot {
	t.Helper()
	slots := make([]*slot, len(lines))
	var wg sync.WaitGroup
	for i, l := range lines {
		slots[i] = &slot{line: l, n: i, data: t.TempDir(), args: append(l.flags, args...)}
		wg.Go(func() { slots[i].start(t) })
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow() // of a goroutine that did not start its server
	}
	return slots
}

// start starts an authd where none runs.
func (s *slot) start(t *testing.T) {
	t.Helper()
	server := serve(t, s.data, s.args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = server
}
