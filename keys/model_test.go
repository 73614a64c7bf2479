package keys

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// world is a small model of everything that takes part in a rotation, explored completely: two leaders that keep the ring
// by the real policy and transitions, may pause between reading and writing for any time, and are elected or crash at any
// moment; a replica that signs and one that serves the JWKS, each by a view of the ring as old as the law allows; a
// verifier that caches the JWKS for as long as the law allows; a token; and an operator who revokes a key at any replica,
// of which a leader may not have heard yet when it decides.
//
// It is finite without a horizon, as times are ages in whole ticks that count no further than the last threshold they are
// compared with, kids are renamed by rank, those that nothing depends on are forgotten, and a term is none, stale or
// current. Its bounds: M = P = A = 1 tick and L = 0; S is 0 or 1 tick, and then the two leaders' clocks differ by it for
// good; keys sign for as long as they are published ahead; one token at a time; at most one emergency, and none when S
// is 1; MAC keys stand still, as the same code moves them. One replica that signs and serves is the case of two that load
// together. In the larger worlds signers and verifiers act directly on old rings, without replicas in between, which
// allows them the same.
//
// Where keys may sign ahead of the timetable, PublishAheadLeast, the verifier reports what it holds: it comes into service
// with a report, and is out of service M after the latest. What keeps the reports may lose them at any moment. One
// verifier stands for all, as the leader acts only when each of them has proven the same.
//
// The elector is lawful: a leader that is not frozen in the middle of a write stops working before another wins;
// electiontest holds the real ones to that. What a frozen one writes is refused by the fence: that is E1, and K4, as no
// accepted write is of an earlier term.
type world struct {
	law         Policy // how the world is
	policy      Policy // how the leaders work: the law, or one that is broken on purpose
	clocks      [2]int // how many ticks each leader's clock is ahead
	emergencies uint8  // how many there may be
	alone       bool   // only one of the two ever leads
	direct      bool   // without replicas of their own: signers and verifiers act on older rings by as much
	broken      modelBreak
	only        string // the one invariant to check; empty for all
	except      string // an invariant not to check
	verbatim    bool   // states are not normalized: for people

	decisions map[decisionKey]decision
	settled   map[modelRing]error
}

// modelBreak is what is left out.
type modelBreak struct {
	noTerm     bool // the store does not compare the term
	noVersion  bool // the store does not compare the version
	stampEarly bool // stamps are written together with what they describe
	hasty      bool // a new key signs at once
	deaf       bool // no leader looks at the revocation set
	cheap      bool // the operator is not told the price of haste
	// Of the reports:
	forgets   bool // a report is forgotten as soon as its verifier has lost the feed
	trusting  bool // what keeps the reports is believed as soon as it runs
	uncounted bool // a verifier may be served though its report was not kept, or the leader does not ask for it
	silent    bool // a verifier need not report
}

// modelState is one state of the world. Kids are numbers.
type modelState struct {
	ring    modelRing
	leaders [2]modelLeader
	signer  modelView // of the replica that signs: the active key
	server  modelView // of the replica that serves the JWKS: the published keys
	cache   modelView // of the verifier: the JWKS
	token   modelView // its kid, and its age
	said    modelView // what the verifier reported last; empty when it is out of service
	lost    bool      // that report is not kept any more
	kept    uint8     // for how long the reports have been kept
	asked   uint8     // emergencies so far
}

// modelLeader is a process that may lead.
type modelLeader struct {
	term    belief
	frozen  bool // between reading and writing
	doomed  bool // frozen, and the version that it read has moved on
	pending modelRing
}

type belief uint8

const (
	notLeading belief = iota
	staleTerm
	currentTerm
)

// modelView is a set of kids that somebody knows, one bit for each, and its age. The empty set is a view that is too old
// or was never loaded.
type modelView struct {
	kids uint16
	age  uint8
}

func (v *modelView) tick(limit int) {
	if v.kids == 0 {
		return
	}
	if v.age++; int(v.age) > limit {
		*v = modelView{}
	}
}

// modelAction is what happens next.
type modelAction struct {
	kind  actionKind
	who   uint8 // the leader, or the kid
	heard bool  // the leader's mirror is current
}

type actionKind uint8

const (
	doTick actionKind = iota
	doElect
	doRead
	doWrite
	doCrash
	doLoadSigner
	doLoadServer
	doSign
	doFetch
	doAsk
	doReport
	doReportUnsure
	doLose
)

var errE1 = errors.New("E1: the write of a deposed leader was accepted")

// next performs every action that is possible.
func (w *world) next(s modelState, reach func(modelAction, modelState, error)) {
	to := func(kind actionKind, who int, heard bool, after modelState, err error) {
		if !w.verbatim {
			w.normalize(&after)
		}
		reach(modelAction{kind, uint8(who), heard}, after, err)
	}
	to(doTick, 0, false, w.tick(s), nil)
	for i, l := range s.leaders {
		if !l.frozen && l.term != currentTerm && !(w.alone && i > 0) {
			to(doElect, i, false, w.elect(s, i), nil)
		}
		if !l.frozen && l.term != notLeading {
			w.nextOfReader(s, i, to)
		}
		if l.frozen {
			after, err := w.write(s, i)
			to(doWrite, i, false, after, err)
		}
		if l.term != notLeading {
			after := s
			after.leaders[i] = modelLeader{}
			to(doCrash, i, false, after, nil)
		}
	}
	w.nextOfReplicas(s, to)
	if w.reports() {
		w.nextOfReports(s, to)
	}
	if s.asked < w.emergencies {
		for i := range s.ring.n {
			if k := s.ring.keys[i]; k.state != modelRevoked {
				after := s
				after.asked++
				after.ring.keys[i].asked = true
				to(doAsk, int(k.id), false, after, nil)
			}
		}
	}
}

type reach func(kind actionKind, who int, heard bool, after modelState, err error)

func (w *world) nextOfReader(s modelState, i int, to reach) {
	if after, changed := w.read(s, i, false); changed {
		to(doRead, i, false, after, nil)
	}
	if s.ring.refused() != 0 {
		if after, changed := w.read(s, i, true); changed {
			to(doRead, i, true, after, nil)
		}
	}
}

func (w *world) nextOfReplicas(s modelState, to reach) {
	active, published := s.ring.seen()
	if w.direct {
		if signing := active &^ s.ring.refused(); signing != 0 {
			after := s
			after.token = modelView{kids: signing}
			to(doSign, 0, false, after, nil)
		}
		if published != 0 {
			after := s
			after.cache = modelView{kids: published}
			to(doFetch, 0, false, after, nil)
		}
		return
	}
	if published != 0 {
		after := s
		after.signer = modelView{kids: active}
		to(doLoadSigner, 0, false, after, nil)
		after = s
		after.server = modelView{kids: published}
		to(doLoadServer, 0, false, after, nil)
	}
	if s.signer.kids&^s.ring.refused() != 0 {
		after := s
		after.token = modelView{kids: s.signer.kids}
		to(doSign, 0, false, after, nil)
	}
	if s.server.kids != 0 {
		after := s
		after.cache = modelView{kids: s.server.kids}
		to(doFetch, 0, false, after, nil)
	}
}

// nextOfReports is what may happen to the report of the verifier. It fetches the JWKS before it reports, or says that it
// could not; it does not come into service so.
func (w *world) nextOfReports(s modelState, to reach) {
	if s.server.kids != 0 {
		after := s
		after.cache = modelView{kids: s.server.kids}
		after.said, after.lost = after.cache, false
		to(doReport, 0, false, after, nil)
		if after.lost = true; w.broken.uncounted {
			to(doReport, 0, false, after, nil)
		}
	}
	if s.said.kids != 0 {
		after := s
		after.said, after.lost = modelView{kids: someOther}, false
		to(doReportUnsure, 0, false, after, nil)
	}
	after := s
	after.lost, after.kept = s.said.kids != 0, 0
	to(doLose, 0, false, after, nil)
}

// reports tells whether keys may sign ahead of the timetable.
func (w *world) reports() bool { return w.policy.PublishAheadLeast > 0 }

// allHold is the census of the one verifier, by the real arithmetic.
func (w *world) allHold(s modelState, i int) bool {
	standby := s.ring.standby()
	if !w.reports() || standby < 0 || s.ring.keys[standby].age == unstamped {
		return false
	}
	k, now := s.ring.keys[standby], modelNow.Add(time.Duration(w.clocks[i])*tick)
	q := w.policy.question(now, "with the standby", Key{Since: modelNow.Add(-time.Duration(k.age) * tick)})
	c := Census{Since: modelNow.Add(-time.Duration(s.kept) * tick)}
	if w.broken.trusting {
		c.Since = q.After
	}
	// The clock of the authd that took the report is ahead by as much as may be.
	r := Report{At: modelNow.Add(w.law.Skew - time.Duration(s.said.age)*tick)}
	if s.said.kids&(1<<k.id) != 0 {
		r.Held = q.Held
	}
	known := s.said.kids != 0 && !s.lost && q.Counts(r) && !(w.broken.forgets && s.said.age > 0)
	if known && !q.Proves(r) {
		c.Missing = 1
	}
	return q.proven(c)
}

// tick lets one unit of time pass for everybody.
func (w *world) tick(s modelState) modelState {
	w.age(&s.ring)
	for i := range s.ring.n {
		s.ring.keys[i].excuse -= min(s.ring.keys[i].excuse, 1)
	}
	for i := range s.leaders {
		w.age(&s.leaders[i].pending)
	}
	s.signer.tick(ticks(w.law.ViewAge))
	s.server.tick(ticks(w.law.ViewAge))
	through := 0
	if w.direct {
		through = ticks(w.law.ViewAge)
	}
	s.cache.tick(ticks(w.law.cachedFor()) + through)
	s.token.tick(ticks(w.law.TokenLife+w.law.Leeway+w.law.Skew) + through)
	if w.reports() {
		s.kept = min(s.kept+1, uint8(ticks(w.policy.ReportedFor())+1))
		s.said.tick(ticks(w.law.cachedFor()))
	}
	return s
}

// elect gives a new term to a leader. The other one stops, unless it is frozen.
func (w *world) elect(s modelState, i int) modelState {
	other := &s.leaders[1-i]
	switch {
	case other.frozen:
		other.term, other.doomed = staleTerm, true // claiming is a write: the version moves on
	default:
		*other = modelLeader{}
	}
	s.leaders[i] = modelLeader{term: currentTerm}
	return s
}

// read lets a leader decide by the real policy, and freezes it before the write.
func (w *world) read(s modelState, i int, heard bool) (after modelState, changed bool) {
	d := w.decide(decisionKey{s.ring, w.clocks[i], heard, w.allHold(s, i)})
	if !d.changes {
		return s, false
	}
	s.leaders[i].frozen, s.leaders[i].pending = true, d.ring
	s.leaders[i].pending.rename(s.fresh())
	return s, true
}

// write is [Store.Update].
func (w *world) write(s modelState, i int) (modelState, error) {
	l := &s.leaders[i]
	term, doomed, next := l.term, l.doomed, l.pending
	l.frozen, l.doomed, l.pending = false, false, modelRing{}
	switch {
	case term == staleTerm && !w.broken.noTerm:
		l.term = notLeading // it learns now that it was deposed
		return s, nil
	case doomed && !w.broken.noVersion:
		return s, nil
	}
	next.inherit(s.ring)
	s.ring = next
	s.leaders[1-i].doomed = s.leaders[1-i].frozen
	if term == staleTerm && w.checks("E1") {
		return s, errE1
	}
	return s, nil
}

// fresh returns a kid that nothing in s names.
func (s *modelState) fresh() uint8 {
	used := s.named()
	for id := uint8(0); ; id++ {
		if used&(1<<id) == 0 {
			return id
		}
	}
}

// named returns every kid that s names.
func (s *modelState) named() uint16 {
	return s.ring.all() | s.leaders[0].pending.all() | s.leaders[1].pending.all() |
		s.signer.kids | s.server.kids | s.cache.kids | s.token.kids | s.said.kids
}

// normalize makes states equal that behave alike.
func (w *world) normalize(s *modelState) {
	for i := range s.leaders {
		l := &s.leaders[i]
		refused := l.term == staleTerm && !w.broken.noTerm || l.doomed && !w.broken.noVersion
		if refused {
			l.pending = modelRing{} // what it holds does not matter any more
		}
	}
	if refused := s.ring.refused(); s.token.kids&refused != 0 {
		s.token = modelView{} // revoked: nobody asks for its key
	}
	// A kid can come to matter only through these; what caches and views know of others makes no difference.
	alive := s.ring.all() | s.leaders[0].pending.all() | s.leaders[1].pending.all() | s.signer.kids | s.token.kids
	s.server.keep(alive)
	s.cache.keep(alive)
	s.said.keep(alive)
	if w.reports() {
		w.normalizeReport(s)
	}
	w.renameAll(s)
	if !w.alone && w.clocks[0] == w.clocks[1] && compareLeaders(s.leaders[0], s.leaders[1], s.ring.n) > 0 {
		s.leaders[0], s.leaders[1] = s.leaders[1], s.leaders[0]
		w.renameAll(s)
	}
}

// normalizeReport forgets what a verifier knew that is out of service, as it fetches anew before it comes back, and of a
// report what no decision depends on.
func (w *world) normalizeReport(s *modelState) {
	if s.said.kids == 0 {
		s.lost = false
		if !w.broken.silent {
			s.cache = modelView{}
		}
		return
	}
	holds := uint16(someOther)
	for _, k := range s.ring.keys[:s.ring.n] {
		if k.state == modelPrepared {
			holds |= s.said.kids & (1 << k.id)
		}
	}
	if s.lost {
		holds = someOther
	}
	s.said.kids = holds
}

// someOther is a kid that nothing depends on.
const someOther = 1 << 15

// keep forgets kids, but not that the view is one.
func (v *modelView) keep(alive uint16) {
	if v.kids&^alive != 0 {
		v.kids = v.kids&alive | someOther
	}
}

// compareLeaders orders leaders by what they are about to do. known is how many kids have their names from the ring; those
// of keys that are not written yet say nothing.
func compareLeaders(a, b modelLeader, known uint8) int {
	return cmp.Or(cmp.Compare(a.term, b.term), cmp.Compare(a.pending.n, b.pending.n),
		slices.CompareFunc(a.pending.keys[:a.pending.n], b.pending.keys[:b.pending.n], func(a, b modelKey) int {
			return cmp.Or(cmp.Compare(min(a.id, known), min(b.id, known)), cmp.Compare(a.state, b.state), cmp.Compare(a.age, b.age))
		}))
}

// renameAll names the kids by the order in which they appear.
func (w *world) renameAll(s *modelState) {
	var names [16]uint8
	count := uint8(1) // zero is no name yet
	name := func(old uint8) uint8 {
		if names[old] == 0 {
			names[old] = count
			count++
		}
		return names[old] - 1
	}
	for _, r := range []*modelRing{&s.ring, &s.leaders[0].pending, &s.leaders[1].pending} {
		for i := range r.n {
			r.keys[i].id = name(r.keys[i].id)
		}
	}
	for _, v := range []*modelView{&s.signer, &s.token, &s.server, &s.cache, &s.said} {
		kids := v.kids & (1 << 15)
		for id := range uint8(15) {
			if v.kids&(1<<id) != 0 {
				kids |= 1 << name(id)
			}
		}
		v.kids = kids
	}
}

func (w *world) checks(invariant string) bool {
	return (w.only == "" || w.only == invariant) && w.except != invariant
}

// check holds one state against the invariants.
func (w *world) check(s modelState) error {
	active, published := s.ring.seen()
	var err error
	fail := func(invariant, format string, args ...any) {
		if w.checks(invariant) && err == nil {
			err = fmt.Errorf(invariant+": "+format, args...)
		}
	}
	for i, l := range s.leaders {
		if l.term == staleTerm && !l.frozen && s.leaders[1-i].term == currentTerm {
			fail("E1", "two leaders work, and none of them is frozen")
		}
	}
	if s.ring.n > 0 && (active == 0 || active&(active-1) != 0) {
		fail("K3", "not exactly one active key")
	}
	if s.token.kids&^published != 0 {
		fail("K1", "a token lives and its key is not in the ring")
	}
	serves := !w.reports() || w.broken.silent || s.said.kids != 0
	if serves && s.cache.kids != 0 && s.token.kids&^s.cache.kids&^s.ring.excused() != 0 {
		fail("K2", "a token is refused by a verifier that caches the JWKS as it was told")
	}
	if w.checks("K5") && err == nil {
		err = w.settles(s.ring)
	}
	return err
}
