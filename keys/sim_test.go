package keys

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"maps"
	"slices"
	"time"
)

// sim is a small world in which leaders keep a ring by the real policy and the real transitions. It moves by chosen
// actions: leaders are elected without the others learning of it, crash, pause for any time between reading and writing,
// and have clocks that differ by up to Skew. The court judges every ring that is written.
type sim struct {
	choose  chooser
	law     Policy  // how the world is: what bounds the views, the caches, the clocks and the tokens
	variant variant // how the leaders work
	now     time.Time

	ring    Ring // what the store holds
	version int
	set     map[string]bool // the kids in the revocation set
	court   *court

	leaders [3]simLeader
	elected int // the leader that the elector believes in
}

// chooser draws a number from 0 to n-1. The label is for people.
type chooser func(label string, n int) int

// variant is the code under test: the real one, or one that is broken on purpose.
type variant struct {
	policy     Policy
	unfenced   bool // the store accepts every write
	stampEarly bool // stamps are written together with what they describe
	hasty      bool // a new key signs at once
	forgetful  bool // nobody notes how long tokens have lived under an earlier policy
	deaf       bool // no leader looks at the revocation set
}

// simLeader is one process that may lead, or believe that it does.
type simLeader struct {
	ahead   time.Duration // of its clock, in real time; 0 to Skew
	term    Term          // 0 means that it does not believe that it leads
	heard   map[string]bool
	pending *simWrite // decided, but not written yet
}

type simWrite struct {
	ring       Ring
	version    int
	unknownFor time.Duration // what an emergency revocation said that it would cost
	emergency  bool
}

func newSim(choose chooser, law Policy, v variant) *sim {
	return &sim{choose: choose, law: law, variant: v, now: simStart, set: make(map[string]bool), court: newCourt(law)}
}

// run performs n chosen actions and then lets one leader work in peace. It returns what the court found.
func (s *sim) run(n int) error {
	actions := []struct {
		weight int
		do     func() error
	}{
		{8, s.advance}, {4, s.read}, {4, s.write}, {2, s.elect}, {1, s.crash}, {1, s.rotate}, {1, s.revoke}, {2, s.pass}, {1, s.reconfigure},
		{1, s.request}, {2, s.hear},
	}
	var lots []func() error
	for _, a := range actions {
		lots = append(lots, slices.Repeat([]func() error{a.do}, a.weight)...)
	}
	for range n {
		if err := lots[s.choose("action", len(lots))](); err != nil {
			return err
		}
	}
	return s.settle()
}

// elect makes another leader the elected one. The old one learns nothing.
func (s *sim) elect() error {
	s.elected = s.choose("elected", len(s.leaders))
	return s.claim(s.elected)
}

func (s *sim) claim(i int) error {
	l := &s.leaders[i]
	next := s.ring
	next.Term++
	l.term, l.pending = next.Term, nil
	return s.commit(next, simWrite{})
}

// crash makes a leader forget everything. What it wrote stays.
func (s *sim) crash() error {
	l := &s.leaders[s.choose("crashed", len(s.leaders))]
	*l = simLeader{ahead: s.law.Skew * time.Duration(s.choose("clock", 3)) / 2}
	return nil
}

// advance lets time pass until something is due by the elected leader's clock, and lets that leader do it, or pause after
// it has decided to.
func (s *sim) advance() error {
	s.now = s.nextDue(&s.leaders[s.elected])
	if s.choose("pause", 4) == 0 {
		return s.readOf(s.elected)
	}
	return s.work(s.elected)
}

// work lets a leader do all that is due, without a pause.
func (s *sim) work(i int) error {
	if s.leaders[i].term == 0 {
		if err := s.claim(i); err != nil {
			return err
		}
	}
	for range 20 {
		s.decide(i)
		if s.leaders[i].pending == nil {
			return nil
		}
		if err := s.writeOf(i); err != nil {
			return err
		}
	}
	return s.court.violation("K5: a leader finds no end of work to do in %v", s.ring)
}

// read lets some leader, deposed or not, decide and then pause.
func (s *sim) read() error { return s.readOf(s.choose("reader", len(s.leaders))) }

func (s *sim) readOf(i int) error {
	if s.leaders[i].term != 0 && s.leaders[i].pending == nil {
		s.decide(i)
	}
	return nil
}

// write lets some leader wake up from its pause.
func (s *sim) write() error { return s.writeOf(s.choose("writer", len(s.leaders))) }

// reconfigure restarts every process with another life for the tokens; the first to come up leads.
func (s *sim) reconfigure() error {
	change := s.court.reconfigure(time.Duration(1 + 5*s.choose("token life", 2)))
	s.variant.policy.TokenLife += change
	for i := range s.leaders {
		s.leaders[i] = simLeader{ahead: s.leaders[i].ahead}
	}
	return s.work(s.elected)
}

// pass lets time pass.
func (s *sim) pass() error {
	step := []time.Duration{time.Second, s.law.ViewAge / 2, s.variant.policy.PublishAhead, s.law.RotateEvery / 3, s.law.RotateEvery * 3}
	s.now = s.now.Add(step[s.choose("pass", len(step))])
	return nil
}

// decide is what [leadership.advance] does before it writes.
func (s *sim) decide(i int) {
	l := &s.leaders[i]
	now := s.now.Add(l.ahead)
	step := s.variant.policy.emergency(s.ring, func(kid string) bool { return l.heard[kid] && !s.variant.deaf })
	if step.Action == Wait {
		step = s.variant.policy.Next(now, s.ring)
	}
	var next Ring
	w := simWrite{}
	if step.Action != Wait {
		next = s.must(s.variant.policy.apply(now, s.ring, step, simKey))
		if step.Action == Revoke {
			res, err := s.variant.policy.blastRadius(now, s.ring, step.KeyID)
			s.mustDo(err)
			w.emergency, w.unknownFor = true, res.UnknownFor
		}
	} else if j := slices.IndexFunc(s.ring.Keys, func(k Key) bool { return k.State == Revoked && k.Since.IsZero() }); j >= 0 {
		next = s.clone()
		s.mustDo(next.acknowledge(next.Keys[j].ID, now))
	} else {
		return
	}
	if s.variant.hasty && step.Action == Prepare && !step.MAC {
		s.mustDo(next.activate(next.Keys[len(next.Keys)-1].ID))
	}
	w.ring = next
	s.propose(l, w)
}

// propose makes w the leader's next write.
func (s *sim) propose(l *simLeader, w simWrite) {
	if s.variant.stampEarly {
		p := s.variant.policy
		w.ring.confirm(s.now.Add(l.ahead), p.RetiredFor(), p.macRetiredFor())
	}
	if s.variant.forgetful {
		for i := range w.ring.Keys {
			w.ring.Keys[i].KeepFor = s.variant.policy.RetiredFor()
		}
	}
	w.version = s.version
	l.pending = &w
}

// writeOf is [Store.Update].
func (s *sim) writeOf(i int) error {
	l := &s.leaders[i]
	w := l.pending
	l.pending = nil
	if w == nil {
		return nil
	}
	if !s.variant.unfenced {
		if l.term != s.ring.Term {
			l.term = 0 // it learns now that it was deposed
			return nil
		}
		if w.version != s.version {
			return nil
		}
	}
	w.ring.Term = max(l.term, s.ring.Term) // K4 is not what an unfenced store shall be convicted of
	return s.commit(w.ring, *w)
}

// rotate is the operator's command, with a pause between its two halves if the next action is not a write.
func (s *sim) rotate() error {
	l := &s.leaders[s.elected]
	if l.term == 0 || s.ring.Epoch == "" {
		return nil
	}
	standby, err := s.variant.policy.readyStandby(s.now.Add(l.ahead), s.ring)
	if err != nil {
		return nil
	}
	next := s.clone()
	s.mustDo(next.activate(standby.ID))
	s.propose(l, simWrite{ring: next})
	return nil
}

// revoke is the operator's emergency, likewise.
func (s *sim) revoke() error {
	l := &s.leaders[s.elected]
	if l.term == 0 || len(s.ring.Keys) == 0 {
		return nil
	}
	now := s.now.Add(l.ahead)
	k := s.ring.Keys[s.choose("revoked", len(s.ring.Keys))]
	next := s.clone()
	if _, ok := next.successor(); !ok && k.State == Active {
		s.mustDo(next.prepare(now, s.variant.policy.Algorithm, simKey))
		s.propose(l, simWrite{ring: next})
		return nil
	}
	res, err := s.variant.policy.blastRadius(now, s.ring, k.ID)
	s.mustDo(err)
	if res.State != Revoked {
		s.mustDo(next.revoke(k.ID, res.Successor))
		s.propose(l, simWrite{ring: next, emergency: true, unknownFor: res.UnknownFor})
	}
	return nil
}

// request is an emergency that is declared at a replica which does not lead: the kid enters the revocation set, and no
// leader has heard of it yet.
func (s *sim) request() error {
	if len(s.ring.Keys) > 0 {
		s.set[s.ring.Keys[s.choose("requested", len(s.ring.Keys))].ID] = true
	}
	return nil
}

// hear brings some leader's mirror up to date.
func (s *sim) hear() error { return s.hearAt(s.choose("hearer", len(s.leaders))) }

func (s *sim) hearAt(i int) error {
	s.leaders[i].heard = maps.Clone(s.set)
	return nil
}

// settle crashes everybody and gives the ring to one leader that is left in peace: whatever was half done, it completes.
func (s *sim) settle() error {
	s.leaders = [3]simLeader{}
	if err := s.hearAt(s.elected); err != nil {
		return err
	}
	for range 8 {
		s.now = s.nextDue(&s.leaders[s.elected])
		if err := s.work(s.elected); err != nil {
			return err
		}
	}
	return s.court.settled(s.now, s.ring, s.set)
}

func (s *sim) commit(next Ring, w simWrite) error {
	old := s.ring
	s.ring = next
	s.version++
	return s.court.judge(s.now, old, next, w)
}

// nextDue returns the moment at which the leader's clock reaches the next threshold of any key, to the nanosecond.
func (s *sim) nextDue(l *simLeader) time.Time {
	var due time.Time
	consider := func(since time.Time, c cycle) {
		for _, d := range []time.Duration{c.publishAhead, c.rotateEvery, c.retiredFor + 1, c.revokedFor + 1} {
			at := since.Add(d - l.ahead)
			if !since.IsZero() && at.After(s.now) && (due.IsZero() || at.Before(due)) {
				due = at
			}
		}
	}
	for _, k := range s.ring.Keys {
		consider(k.Since, s.variant.policy.signing())
	}
	for _, k := range s.ring.MACs {
		consider(k.Since, s.variant.policy.macs())
	}
	if due.IsZero() {
		return s.now
	}
	return due
}

func (s *sim) clone() Ring {
	next := s.ring
	next.Keys, next.MACs = slices.Clone(next.Keys), slices.Clone(next.MACs)
	return next
}

func (s *sim) must(r Ring, err error) Ring {
	s.mustDo(err)
	return r
}

func (s *sim) mustDo(err error) {
	if err != nil {
		panic(err) // the transition was decided for this very ring
	}
}

//nolint:gochecknoglobals // a constant in all but syntax
var simStart = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// simKey makes keys that sign nothing, cheaply.
func simKey(string) (crypto.Signer, error) {
	public := make(ed25519.PublicKey, ed25519.PublicKeySize)
	_, err := rand.Read(public)
	return publicOnly{public}, err
}

type publicOnly struct{ public ed25519.PublicKey }

func (k publicOnly) Public() crypto.PublicKey { return k.public }

func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	panic("not for signing")
}
