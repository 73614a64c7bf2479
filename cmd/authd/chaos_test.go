package main_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
)

// docs/operations.md says what `make chaos` showed.
var (
	chaosRotations = flag.Int("chaos.rotations", 0, "go on until keys have rotated so often in TestRotationUnderFire; 0 is the short form: a few faults")
	chaosLeaders   = flag.Int("chaos.leaders", 0, "and until leaders have changed so often")
	chaosSeed      = flag.Uint64("chaos.seed", 1, "of the order of the faults in TestRotationUnderFire")
)

// What the timetable of underFire comes from: publish-ahead is the shortest that its rules allow.
const (
	fireMaxAge       = time.Second
	fireOverstay     = 1500 * time.Millisecond // jose counts from when it has read the answer, and may have to wait for a processor
	fireViewAge      = time.Second
	fireSkew         = 100 * time.Millisecond
	firePublishAhead = fireMaxAge + fireOverstay + fireViewAge + fireSkew + 100*time.Millisecond
	fireTokenLife    = 4 * time.Second
	fireLeeway       = time.Second
	fireRetiredFor   = fireTokenLife + fireLeeway + fireViewAge + 2*fireSkew
)

// underFire are the settings of each authd.
func underFire() []string {
	return []string{
		"--rotate-every", firePublishAhead.String(), "--publish-ahead", firePublishAhead.String(),
		"--jwks-max-age", fireMaxAge.String(), "--jwks-overstay", fireOverstay.String(), "--view-age", fireViewAge.String(),
		"--skew", fireSkew.String(), "--access-ttl", fireTokenLife.String(), "--leeway", fireLeeway.String(),
		"--refresh-grace", (fireTokenLife / 2).String(), "--refresh-replays=100000", "--election-lease", lease.String(),
	}
}

// Leaders are killed, frozen and cut off, and the backend hangs, while keys rotate as fast as the rules allow and tokens
// are issued and verified all the time: no valid token is rejected by anybody, the ring never forks, and what a deposed
// leader writes is refused.
func TestRotationUnderFire(t *testing.T) {
	t.Parallel()
	for i, b := range []struct {
		name  string
		arena func(*testing.T, *replicaSettings) *arena
	}{
		{"redis", redisArena}, {"etcd", etcdArena}, {"kubernetes", kubernetesArena},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			c := startChaos(t, b.arena)
			c.run(rand.New(rand.NewPCG(*chaosSeed, uint64(i))), i)
			c.summarize(b.name)
		})
	}
}

// chaos is one run on one backend.
type chaos struct {
	t       *testing.T
	arena   *arena
	slots   []*slot
	front   *front
	ring    *chronicle
	leaders *lookout
	load    *load

	faults  int
	deposed int // writes of leaders that arrived after somebody else had claimed the ring
}

// replicaSettings is what the backends need to know.
type replicaSettings struct {
	n   int
	kek string
}

const fireReplicas = 3

func startChaos(t *testing.T, open func(*testing.T, *replicaSettings) *arena) *chaos {
	t.Helper()
	settings := &replicaSettings{n: fireReplicas, kek: newKEK(t)}
	c := &chaos{t: t, arena: open(t, settings)}
	c.front = newFront(t)
	args := append([]string{"--kek-file", settings.kek, "--issuer", c.front.URL, "--users", "htpasswd:" + fireUsers(t)}, underFire()...)
	if !c.arena.redis {
		args = append(args, "--redis", "redis://"+testenv.Redis(t))
	}
	c.slots = startSlots(t, c.arena.lines, args)
	c.front.serve(c.slots)
	c.load = newLoad(t, c.front)
	c.ring = newChronicle(t, c.arena.store, c.load)
	c.leaders = newLookout(t, c.front)
	background := newBackground(t) // ends before what it uses
	background.Go(c.ring.follow)
	until(t, "a ring", func() bool { return c.ring.active() != "" })
	for _, s := range c.slots {
		background.Go(func() { c.leaders.watch(s) })
		background.Go(func() { c.ring.watchJWKS(s) })
		background.Go(func() { c.load.use(s) })
	}
	c.awaitLeader("a first leader", func(reign) bool { return true })
	return c
}

// run inflicts faults until there have been enough.
func (c *chaos) run(rng *rand.Rand, backend int) {
	c.t.Helper()
	if *chaosRotations == 0 {
		for _, f := range shortForm(backend) {
			c.inflict(f, rng)
		}
		return
	}
	for c.ring.rotations() < *chaosRotations || c.ring.leaderChanges() < *chaosLeaders {
		for _, f := range shuffled(rng, faults) {
			c.inflict(f, rng)
		}
	}
}

// shortForm is a deposed leader's write, and two faults of another kind. Together the backends see all.
func shortForm(backend int) []fault {
	others := shuffled(rand.New(rand.NewPCG(*chaosSeed, 0)), faults[1:])
	i := 2 * backend
	return []fault{faults[0], others[i%len(others)], others[(i+1)%len(others)]}
}

func shuffled(rng *rand.Rand, list []fault) []fault {
	dealt := make([]fault, len(list))
	for i, j := range rng.Perm(len(list)) {
		dealt[i] = list[j]
	}
	return dealt
}

// inflict lets one fault happen, and waits until somebody leads and the ring has moved on.
func (c *chaos) inflict(f fault, rng *rand.Rand) {
	c.t.Helper()
	began, rotations, rejected := time.Now(), c.ring.rotations(), c.load.rejected.Load()
	c.faults++
	f.inflict(c, rng)
	recovered := time.Now()
	signed := c.ring.active()
	until(c.t, "after "+f.name+", a leader and another key that signs", func() bool {
		return c.ring.active() != signed && c.leaders.latest().seen.After(recovered)
	})
	c.t.Logf("%8v %-32s %v, then %v to the next rotation; rotations %d, leader changes %d, rejected %d",
		time.Since(c.ring.began).Round(time.Second), f.name, recovered.Sub(began).Round(time.Millisecond),
		time.Since(recovered).Round(time.Millisecond), c.ring.rotations()-rotations, c.ring.leaderChanges(), c.load.rejected.Load()-rejected)
	if c.t.Failed() {
		c.t.FailNow() // what follows would show nothing
	}
}

// awaitLeader waits for a leader that says so from now on and is as wanted.
func (c *chaos) awaitLeader(what string, wanted func(reign) bool) reign {
	c.t.Helper()
	var found reign
	began := time.Now()
	until(c.t, what, func() bool {
		found = c.leaders.latest()
		return found.slot != nil && found.seen.After(began) && wanted(found)
	})
	return found
}

// summarize checks what can only be told at the end, and prints a row of the table.
func (c *chaos) summarize(backend string) {
	c.t.Helper()
	c.ring.checkPublished()
	if c.deposed == 0 {
		c.t.Error("no deposed leader has written: this test has not seen what it is about")
	}
	var verified []string
	for _, v := range c.load.verifiers {
		if v.verified.Load() == 0 {
			c.t.Errorf("%s has verified nothing", v.name)
		}
		verified = append(verified, fmt.Sprintf("%s %d (%d without an answer)", v.name, v.verified.Load(), v.unavailable.Load()))
	}
	without, hanging := c.leaders.withoutLeader()
	c.t.Logf(`
| backend | time | faults | rotations | leader changes | versions of the ring | tokens | verified | rejected | deposed writes, all refused | longest without a leader | while the backend hung |
|---|---|---|---|---|---|---|---|---|---|---|---|
| %s | %v | %d | %d | %d | %d | %d | %s | %d | %d | %v | %v |
answers to logins and refreshes: %v`,
		backend, time.Since(c.ring.began).Round(time.Second), c.faults, c.ring.rotations(), c.ring.leaderChanges(), c.ring.count(),
		c.load.issued.Load(), strings.Join(verified, ", "), c.load.rejected.Load(), c.deposed,
		without.Round(100*time.Millisecond), hanging.Round(100*time.Millisecond), c.load.answers())
}

// background runs what goes on all the time, until the test ends.
type background struct{ sync.WaitGroup }

func newBackground(t *testing.T) *background {
	t.Helper()
	b := new(background)
	t.Cleanup(b.Wait) // the test's context has ended by then
	return b
}

// pauseFor tells whether there is more to do.
func pauseFor(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
