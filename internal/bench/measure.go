package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// contender is one way of doing the work.
type contender struct {
	name string
	// ready, where set, brings the n tokens from the i-th on to where do will find them, at most a piece of them. It is
	// not measured.
	ready func(i, n int)
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
			var took float64
			var err error
			deeper(rand.IntN(stackSteps), func() { took, err = contenders[c].time(&next[c]) })
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

// stackSteps times the size of a small frame is about a page.
const stackSteps = 100

// deeper calls f some frames further down the stack. How fast a signature check is depends, by several percent, on where
// its numbers happen to lie on the stack; without this a contender would keep its luck through the whole run.
//
//go:noinline
func deeper(frames int, f func()) {
	if frames > 0 {
		deeper(frames-1, f)
		return
	}
	f()
}

// piece is how many tokens are made ready at once: few enough to stay in the processor's caches, and enough to hide what
// looking at the clock costs.
const piece = 64

// turn handles one batch and calls begin and end around what is measured of it.
func (c contender) turn(next *int, begin, end func()) error {
	for left := c.batch; left > 0; {
		n := left
		if c.ready != nil {
			n = min(n, piece)
			c.ready(*next, n)
		}
		begin()
		for range n {
			if err := c.do(*next); err != nil {
				return err
			}
			*next++
		}
		end()
		left -= n
	}
	return nil
}

// time returns the nanoseconds for one token.
func (c contender) time(next *int) (float64, error) {
	var start, spent time.Duration
	err := c.turn(next, func() { start = clock() }, func() { spent += clock() - start })
	return float64(spent) / float64(c.batch), err
}

// allocationTurns is how many more turns each contender gets to have its allocations counted.
const allocationTurns = 9

// allocations counts those of one token, by the median of some turns: background work of a library must not count.
func (c contender) allocations(next *int) (float64, error) {
	counts := make([]float64, allocationTurns)
	for i := range counts {
		var before, after runtime.MemStats
		var count uint64
		err := c.turn(next, func() { runtime.ReadMemStats(&before) }, func() {
			runtime.ReadMemStats(&after)
			count += after.Mallocs - before.Mallocs
		})
		if err != nil {
			return 0, err
		}
		counts[i] = float64(count) / float64(c.batch)
	}
	slices.Sort(counts)
	return counts[allocationTurns/2], nil
}
