package keys

import (
	"strings"
	"testing"
	"time"
)

// modelLaw is a world whose inequalities hold by one tick, the least there is.
func modelLaw(skew int) Policy {
	p := Policy{
		Algorithm: "EdDSA", JWKSMaxAge: tick, ViewAge: tick, TokenLife: tick, Skew: time.Duration(skew) * tick,
		SessionIdle: 1000 * tick,
	}
	p.PublishAhead = p.spreadFor() + tick
	p.RotateEvery = p.PublishAhead
	p.RevokedFor = tick // shorter than Validate allows: nothing depends on it here but the size of the model
	return p
}

// newWorld makes a world in which everybody works as the code does, changed by options.
func newWorld(skew int, options ...func(*world)) *world {
	law := modelLaw(skew)
	w := &world{
		law: law, policy: law, clocks: [2]int{0, skew},
		decisions: make(map[decisionKey]decision), settled: make(map[modelRing]error),
	}
	for _, change := range options {
		change(w)
	}
	return w
}

func direct(w *world)      { w.direct = true }
func emergencies(w *world) { w.emergencies = 1 }

// ahead lets keys sign ahead of the timetable, by the least there is. There is one leader, which may crash and come back,
// as no leader remembers anything of the reports.
func ahead(w *world) {
	w.policy.PublishAheadLeast = w.law.ViewAge + w.law.Skew + tick
	w.alone = true
}

// explore returns the first violation, told as a story, and how many states were visited.
func (w *world) explore() (states int, story string, err error) {
	e := &explorer[modelState, modelAction]{next: w.next, check: w.check, limit: 2_000_000}
	states, trace, err := e.run(modelState{})
	if err != nil {
		story = w.story(trace)
	}
	return states, story, err
}

// In every reachable state of the model the invariants hold: without anything left out, and with either half of the fence.
func TestModelHolds(t *testing.T) {
	for name, w := range map[string]*world{
		"rotation":                  newWorld(0),
		"rotation, acting directly": newWorld(0, direct),
		"fenced by the term alone":  newWorld(0, direct, func(w *world) { w.broken.noVersion = true }),
		// Versions alone keep the keys as well, but depose nobody: two leaders may go on taking turns.
		"fenced by versions alone":   newWorld(0, direct, func(w *world) { w.broken.noTerm, w.except = true, "E1" }),
		"emergency from any replica": newWorld(0, direct, emergencies),
		"clocks differ":              newWorld(1, direct),
		"ahead of the timetable":     newWorld(0, ahead),
	} {
		t.Run(name, func(t *testing.T) {
			states, story, err := w.explore()
			if err != nil {
				t.Errorf("%v\n%s", err, story)
			}
			t.Logf("%d states, %d different decisions of a leader", states, len(w.decisions))
		})
	}
}

// The model can convict: whatever of the design is left out, it finds the harm, and tells how it comes.
func TestModelFindsWhatIsLeftOut(t *testing.T) {
	breaks := func(change func(*modelBreak)) func(*world) { return func(w *world) { change(&w.broken) } }
	policy := func(change func(*Policy)) func(*world) { return func(w *world) { change(&w.policy) } }
	unfenced := breaks(func(b *modelBreak) { b.noTerm, b.noVersion = true, true })
	for name, c := range map[string]struct {
		violates string
		world    *world
	}{
		"no fence: a deposed leader writes": {"E1", newWorld(0, unfenced)},
		"no fence: a live key is lost":      {"K1", newWorld(0, unfenced)},
		"no fence: an unknown key signs":    {"K2", newWorld(0, unfenced)},
		"stamp before the commit":           {"K2", newWorld(0, breaks(func(b *modelBreak) { b.stampEarly = true }))},
		"a new key signs at once":           {"K2", newWorld(0, breaks(func(b *modelBreak) { b.hasty = true }))},
		"publish-ahead without P":           {"K2", newWorld(0, policy(func(p *Policy) { p.PublishAhead -= p.ViewAge }))},
		"publish-ahead without M":           {"K2", newWorld(0, policy(func(p *Policy) { p.PublishAhead -= p.JWKSMaxAge }))},
		"publish-ahead without S":           {"K2", newWorld(1, direct, policy(func(p *Policy) { p.PublishAhead -= p.Skew }))},
		"retired-for without P":             {"K1", newWorld(0, policy(func(p *Policy) { p.TokenLife -= p.ViewAge }))},
		"retired-for without A":             {"K1", newWorld(0, policy(func(p *Policy) { p.TokenLife = 0 }))},
		"retired-for with one S":            {"K1", newWorld(1, direct, policy(func(p *Policy) { p.TokenLife -= p.Skew }))},
		"nobody listens for emergencies":    {"K5", newWorld(0, direct, emergencies, breaks(func(b *modelBreak) { b.deaf = true }))},
		"the price of haste is not told":    {"K2", newWorld(0, direct, emergencies, breaks(func(b *modelBreak) { b.cheap = true }))},

		"reports forgotten at once":                {"K2", newWorld(0, ahead, breaks(func(b *modelBreak) { b.forgets = true }))},
		"a new memory of reports trusted at once":  {"K2", newWorld(0, ahead, breaks(func(b *modelBreak) { b.trusting = true }))},
		"some streams not asked for by the leader": {"K2", newWorld(0, ahead, breaks(func(b *modelBreak) { b.uncounted = true }))},
		"a verifier that does not report":          {"K2", newWorld(0, ahead, breaks(func(b *modelBreak) { b.silent = true }))},
		"publish-ahead-least without P":            {"K2", newWorld(0, ahead, policy(func(p *Policy) { p.ViewAge, p.PublishAheadLeast = 0, tick }))},
	} {
		t.Run(name, func(t *testing.T) {
			c.world.only = c.violates
			states, story, err := c.world.explore()
			if err == nil || !strings.HasPrefix(err.Error(), c.violates) {
				t.Fatalf("%d states, and no violation of %s: %v", states, c.violates, err)
			}
			t.Logf("found after %d states: %v\n%s", states, err, story)
		})
	}
}
