package main_test

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/authd-project/authd/keys"
)

// fault is something that happens to the leader or to the backend. It is over when somebody leads.
type fault struct {
	name    string
	inflict func(*chaos, *rand.Rand)
}

// faults begins with what the short form never leaves out.
var faults = []fault{
	{"ring claimed during a write", (*chaos).claimDuringWrite},
	{"leader frozen during a write", (*chaos).freezeDuringWrite},
	{"leader killed", (*chaos).kill},
	{"leader frozen", (*chaos).freeze},
	{"leader cut off", (*chaos).cutOff},
	{"backend frozen", (*chaos).freezeBackend},
}

// kill ends the leader without notice and starts it again.
func (c *chaos) kill(*rand.Rand) {
	c.t.Helper()
	before := c.leader()
	before.slot.kill()
	before.slot.start(c.t)
	c.awaitNext(before)
}

// freeze stops the leader until another one leads. It wakes as one that does not know.
func (c *chaos) freeze(*rand.Rand) {
	c.t.Helper()
	before := c.leader()
	before.slot.freeze()
	defer before.slot.thaw()
	c.awaitNext(before)
}

// cutOff loses everything between the leader and the backend until another one leads and a key signs that the first has
// not heard of.
func (c *chaos) cutOff(*rand.Rand) {
	c.t.Helper()
	before := c.leader()
	before.slot.proxy.Swallow()
	defer before.slot.proxy.Pass()
	rotations := c.ring.rotations()
	c.awaitNext(before)
	until(c.t, "two rotations without who led before", func() bool { return c.ring.rotations() >= rotations+2 })
}

// freezeBackend lets it hang for up to two leases.
func (c *chaos) freezeBackend(rng *rand.Rand) {
	c.t.Helper()
	c.leaders.hang(true)
	defer c.leaders.hang(false)
	c.arena.freeze()
	wait(c.t, 500*time.Millisecond+time.Duration(rng.Int64N(int64(2**lease))))
	c.arena.thaw()
	c.awaitLeader("a leader after the backend hung", func(reign) bool { return true })
}

// claimDuringWrite takes the ring from a leader while a write of its own is on its way: what arrives is refused, and the
// leader hears so.
func (c *chaos) claimDuringWrite(*rand.Rand) {
	c.t.Helper()
	const attempts = 5 // a leader that has waited too long for the answer does not listen any more
	for range attempts {
		if c.tryClaim() {
			c.deposed++
			return
		}
	}
	c.t.Fatalf("in %d attempts no deposed leader has heard that its write was refused", attempts)
}

func (c *chaos) tryClaim() (refused bool) {
	c.t.Helper()
	before, write := c.catchWrite(func(*slot) {})
	defer write.letGo()
	refusals := before.slot.refusals()
	term := c.claim()
	c.ring.noteClaim(term)
	write.letGo()
	c.awaitLeader("a leader after the ring was claimed", func(r reign) bool { return r.term > uint64(term) })
	return before.slot.refusals() > refusals
}

// freezeDuringWrite stops the leader when a write has left it, and has the write arrive when another one leads.
func (c *chaos) freezeDuringWrite(*rand.Rand) {
	c.t.Helper()
	before, write := c.catchWrite((*slot).freeze)
	defer before.slot.thaw()
	defer write.letGo()
	c.awaitNext(before)
	write.letGo()
	wait(c.t, 300*time.Millisecond) // it arrives, and would be seen in the ring
	c.deposed++
}

// leader returns who leads now.
func (c *chaos) leader() reign {
	c.t.Helper()
	return c.awaitLeader("a leader", func(r reign) bool { return r.slot.up() })
}

// awaitNext waits until another one than before leads.
func (c *chaos) awaitNext(before reign) {
	c.t.Helper()
	c.awaitLeader("another leader", func(r reign) bool { return r.term > before.term })
}

// usurper claims the ring without being elected, as a leader by mistake would.
const usurper = "the test"

func (c *chaos) claim() keys.Term {
	c.t.Helper()
	for {
		term, err := c.arena.store.Claim(c.t.Context(), usurper)
		if err == nil {
			return term
		}
		if !errors.Is(err, keys.ErrUnavailable) {
			c.t.Fatalf("claiming the ring during a write: %v", err)
		}
	}
}

// catchWrite returns a leader one of whose writes is on its way, held up after when was called.
func (c *chaos) catchWrite(when func(*slot)) (reign, *heldWrite) {
	c.t.Helper()
	for {
		leader := c.leader()
		write := leader.slot.trap.set(func() { when(leader.slot) })
		until(c.t, "a write of the leader, or another leader", func() bool {
			return write.isHeld() || c.leaders.latest().term != leader.term && leader.slot.trap.unset(write)
		})
		if write.isHeld() {
			return leader, write
		}
	}
}
