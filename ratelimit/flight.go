package ratelimit

import (
	"context"
	"slices"
	"sync"
	"time"
)

// maxWaiters bounds how many attempts from one address wait; more are refused at once.
const maxWaiters = 512

// flights knows the attempts of this process that are not settled yet, by address, and who waits for one to be.
type flights struct {
	mu        sync.Mutex
	byAddress map[string]*flight // while somebody uses it
}

// flight is guarded by the mutex of its flights.
type flight struct {
	users    int      // attempts in Before or in flight
	open     int      // attempts that hold a budget, or are just trying to
	finished uint64   // attempts that were settled
	waiters  []waiter // in order of arrival
}

// waiter is an attempt that was refused and waits for another one to be settled.
type waiter struct {
	woken chan struct{} // closed to wake it
	polls bool          // it asks again in any case, as attempts of other processes may be settled
}

// enter returns the flight of an address. Whoever enters must leave or end.
func (fs *flights) enter(address string) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.byAddress[address]
	if f == nil {
		f = &flight{}
		fs.byAddress[address] = f
	}
	f.users++
	return f
}

// leave is for an attempt that is not open.
func (fs *flights) leave(address string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.release(address, f)
}

func (fs *flights) release(address string, f *flight) {
	if f.users--; f.users == 0 {
		delete(fs.byAddress, address)
	}
}

// begin opens an attempt. It returns how many have been settled so far, for await.
func (fs *flights) begin(f *flight) (settled uint64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.open++
	return f.finished
}

// end settles an open attempt and leaves.
func (fs *flights) end(address string, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.open--
	f.finished++
	f.wake(1) // as at most one unit came free
	fs.release(address, f)
}

// wake wakes the first n that wait. When no attempt is open any more it wakes all that have nothing else to wait for.
func (f *flight) wake(n int) {
	f.waiters = slices.DeleteFunc(f.waiters, func(w waiter) bool {
		wake := n > 0 || f.open == 0 && !w.polls
		n--
		if wake {
			close(w.woken)
		}
		return wake
	})
}

// pollEvery is how often one of those that wait asks again, of all that wait for attempts of other processes.
const pollEvery = 20 * time.Millisecond

// await closes an attempt that was refused, and returns true when it is worth another try: an attempt has been settled
// since it began. It waits for that unless none is open, too many wait already, or ctx ends.
//
// When attempts of other processes may be in flight, an attempt is worth another try also when some time has passed. The
// more wait, the more time: together they ask once in pollEvery.
func (fs *flights) await(ctx context.Context, f *flight, settled uint64, others bool) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f.open--
	f.wake(0)
	if f.finished != settled || f.open == 0 && !others || len(f.waiters) >= maxWaiters {
		return f.finished != settled
	}
	woken := make(chan struct{})
	f.waiters = append(f.waiters, waiter{woken, others})
	var poll <-chan time.Time // never, unless others may settle
	if others {
		timer := time.NewTimer(time.Duration(len(f.waiters)) * pollEvery)
		defer timer.Stop()
		poll = timer.C
	}
	fs.mu.Unlock()
	select {
	case <-woken:
	case <-poll:
	case <-ctx.Done():
	}
	fs.mu.Lock()
	if ctx.Err() == nil {
		f.waiters = slices.DeleteFunc(f.waiters, func(w waiter) bool { return w.woken == woken })
		return others || f.finished != settled
	}
	if i := slices.IndexFunc(f.waiters, func(w waiter) bool { return w.woken == woken }); i >= 0 {
		f.waiters = slices.Delete(f.waiters, i, i+1)
	} else {
		f.wake(1) // it was woken as its time ended, and passes that on
	}
	return false
}
