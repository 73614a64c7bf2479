package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
)

// contender is one way of doing the work.
type contender struct {
	name string
	// do handles the i-th token of the run.
	do func(i int) error
	// batch is how many tokens make one turn.
	batch int
}

// result is what a contender cost for one token.
type result struct {
	name   string
	ns     float64 // median over the turns
	allocs float64
}

// measure gives each contender its turn in every round, so that whatever else the machine does meets all of them. The
// median forgets the turns that were interrupted.
func measure(rounds int, contenders []contender) ([]result, error) {
	runtime.LockOSThread() // clock is the thread's
	defer runtime.UnlockOSThread()
	times := make([][]float64, len(contenders))
	next := make([]int, len(contenders)) // the token each contender goes on with
	for range rounds {
		for _, c := range rand.Perm(len(contenders)) { // nobody always follows the same neighbour
			took, err := contenders[c].turn(&next[c])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", contenders[c].name, err)
			}
			times[c] = append(times[c], took)
		}
	}
	results := make([]result, len(contenders))
	for c := range contenders {
		allocs, err := contenders[c].allocations(&next[c])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", contenders[c].name, err)
		}
		slices.Sort(times[c])
		results[c] = result{name: contenders[c].name, ns: times[c][len(times[c])/2], allocs: allocs}
	}
	return results, nil
}

// turn returns the nanoseconds for one token.
func (c contender) turn(next *int) (float64, error) {
	start := clock()
	for range c.batch {
		if err := c.do(*next); err != nil {
			return 0, err
		}
		*next++
	}
	return float64(clock()-start) / float64(c.batch), nil
}

// allocationTurns is how many more turns each contender gets to have its allocations counted.
const allocationTurns = 9

// allocations counts those of one token, by the median of some turns: background work of a library must not count.
func (c contender) allocations(next *int) (float64, error) {
	counts := make([]float64, allocationTurns)
	for i := range counts {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range c.batch {
			if err := c.do(*next); err != nil {
				return 0, err
			}
			*next++
		}
		runtime.ReadMemStats(&after)
		counts[i] = float64(after.Mallocs-before.Mallocs) / float64(c.batch)
	}
	slices.Sort(counts)
	return counts[allocationTurns/2], nil
}
