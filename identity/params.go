package identity

import (
	"errors"
	"fmt"
	"runtime"
)

// Params are the costs of an argon2id hash (RFC 9106). The zero value stands for [DefaultParams].
type Params struct {
	Memory  uint32 // KiB of memory; at least 8 a thread
	Time    uint32 // passes over the memory
	Threads uint8  // lanes computed in parallel; each occupies a core
}

// DefaultParams are those of OWASP's password storage cheat sheet: 19 MiB, two passes, one thread. A hash takes about
// 30 ms of one core.
func DefaultParams() Params { return Params{Memory: 19 << 10, Time: 2, Threads: 1} }

// The most that a hash may cost, whether configured or found in a store: whoever can write one row must not be able to
// make a login take gigabytes or minutes.
const (
	maxMemory     = 256 << 10 // KiB
	maxTime       = 16
	maxThreads    = 16
	maxBcryptCost = 14 // about a second
)

// Validate reports every cost that is out of range.
func (p Params) Validate() error {
	var problems []error
	if p.Threads < 1 || p.Threads > maxThreads {
		problems = append(problems, fmt.Errorf("argon2id threads %d: want 1 to %d", p.Threads, maxThreads))
	}
	if p.Time < 1 || p.Time > maxTime {
		problems = append(problems, fmt.Errorf("argon2id time %d: want 1 to %d passes", p.Time, maxTime))
	}
	if least := 8 * max(1, uint32(p.Threads)); p.Memory < least || p.Memory > maxMemory {
		problems = append(problems, fmt.Errorf("argon2id memory %d KiB: want %d to %d", p.Memory, least, maxMemory))
	}
	return errors.Join(problems...)
}

// defaultConcurrency leaves one of Go's processors free. With all of them hashing, a request that could be answered in
// 0.3 ms waits for the scheduler to preempt a hash: the 99th percentile of token checks was 57 to 122 ms on two cores,
// and 8 to 14 ms with one processor free. A program that wants every core to hash may raise GOMAXPROCS by one: then the
// operating system shares the cores (15 to 29 ms, and the full rate of hashing).
func defaultConcurrency() int { return max(1, runtime.GOMAXPROCS(0)-1) }
