package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// tick is the unit of time of the model.
const tick = time.Hour

func ticks(d time.Duration) int { return int(d / tick) }

// modelRing is the signing keys of a ring with their ages in place of their times.
type modelRing struct {
	n    uint8
	keys [modelKeys]modelKey
}

const modelKeys = 5

type modelKey struct {
	id    uint8
	state modelKeyState
	age   int8 // in ticks, since the stamp; unstamped when there is none
	asked bool // its kid is in the revocation set
	// excuse is for how many ticks more verifiers may not know the key, as an operator was told.
	excuse uint8
}

type modelKeyState uint8

const (
	modelPrepared modelKeyState = iota
	modelActive
	modelRetired
	modelRevoked
)

const unstamped = -100

var modelStates = [...]State{Prepared, Active, Retired, Revoked}

// seen returns what a replica makes of the ring.
func (r *modelRing) seen() (active, published uint16) {
	for _, k := range r.keys[:r.n] {
		if k.state == modelActive {
			active |= 1 << k.id
		}
		if k.state != modelRevoked {
			published |= 1 << k.id
		}
	}
	return active, published
}

func (r *modelRing) all() (kids uint16) {
	for _, k := range r.keys[:r.n] {
		kids |= 1 << k.id
	}
	return kids
}

// refused returns the kids that are in the revocation set.
func (r *modelRing) refused() (kids uint16) {
	for _, k := range r.keys[:r.n] {
		if k.asked {
			kids |= 1 << k.id
		}
	}
	return kids
}

func (r *modelRing) excused() (kids uint16) {
	for _, k := range r.keys[:r.n] {
		if k.excuse > 0 {
			kids |= 1 << k.id
		}
	}
	return kids
}

// standby returns the index of the key that is next to sign; -1 when there is none.
func (r *modelRing) standby() int {
	return slices.IndexFunc(r.keys[:r.n], func(k modelKey) bool { return k.state == modelPrepared })
}

// rename gives the key that was just made its kid.
func (r *modelRing) rename(id uint8) {
	for i := range r.n {
		if r.keys[i].id == newKid {
			r.keys[i].id = id
		}
	}
}

// inherit keeps what is known of the keys outside the ring, and may have changed since the ring was read.
func (r *modelRing) inherit(old modelRing) {
	for i := range r.n {
		for _, k := range old.keys[:old.n] {
			if k.id == r.keys[i].id {
				r.keys[i].asked = r.keys[i].asked || k.asked
				r.keys[i].excuse = max(r.keys[i].excuse, k.excuse)
			}
		}
	}
}

// age lets a tick pass. An age counts up to the last threshold that it is compared with.
func (w *world) age(r *modelRing) {
	p := w.policy
	limits := [...]int8{
		modelPrepared: int8(max(ticks(p.PublishAhead), ticks(p.spreadFor())+1)), modelActive: int8(ticks(p.RotateEvery)),
		modelRetired: int8(ticks(p.RetiredFor()) + 1), modelRevoked: int8(ticks(p.RevokedFor) + 1),
	}
	ahead := int8(max(w.clocks[0], w.clocks[1])) // a leader's clock sees a stamp as older by as much
	for i := range r.n {
		if k := &r.keys[i]; k.age != unstamped {
			k.age = min(k.age+1, limits[k.state]+ahead)
		}
	}
}

// newKid is the name of a key that was made by the decision at hand.
const newKid = 14

var modelNames = [newKid + 1]string{"key-0", "key-1", "key-2", "key-3", "key-4", "key-5", "key-6", "key-7", "key-8", "key-9"}

var modelNow = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// concrete makes a real ring, as of modelNow in real time. Its MAC keys are such that nothing is due about them.
func (w *world) concrete(m modelRing) Ring {
	if m.n == 0 {
		return Ring{}
	}
	r := Ring{Epoch: "model"}
	for _, k := range m.keys[:m.n] {
		key := Key{
			ID: modelNames[k.id], Algorithm: w.policy.Algorithm, State: modelStates[k.state],
			CreatedAt: modelNow, KeepFor: w.policy.RetiredFor(), Private: modelSigner,
		}
		if k.age != unstamped {
			key.Since = modelNow.Add(-time.Duration(k.age) * tick)
		}
		r.Keys = append(r.Keys, key)
	}
	for i, s := range []State{Active, Prepared} {
		r.MACs = append(r.MACs, MACKey{ID: uint32(i), State: s, Since: modelNow, KeepFor: w.policy.macRetiredFor()})
	}
	return r
}

var modelSigner, _ = simKey("")

// abstract is the inverse of concrete. A key that old does not have is the new one.
func abstract(r Ring, old modelRing) modelRing {
	var m modelRing
	for _, k := range r.Keys {
		a := modelKey{id: newKid, age: unstamped}
		for _, o := range old.keys[:old.n] {
			if modelNames[o.id] == k.ID {
				a = o
			}
		}
		for i, s := range modelStates {
			if s == k.State {
				a.state = modelKeyState(i)
			}
		}
		a.age = unstamped
		if !k.Since.IsZero() {
			a.age = int8(modelNow.Sub(k.Since) / tick)
		}
		if m.n == modelKeys {
			panic("the model is too small for this ring")
		}
		m.keys[m.n] = a
		m.n++
	}
	return m
}

type decisionKey struct {
	ring  modelRing
	clock int
	heard bool
	hold  bool // every verifier holds the standby
}

type decision struct {
	ring    modelRing
	changes bool
}

// decide is what a leader does with a ring that it has just read; what the real code said once is remembered.
func (w *world) decide(key decisionKey) decision {
	d, ok := w.decisions[key]
	if !ok {
		d = w.decideAnew(key)
		w.decisions[key] = d
	}
	return d
}

func (w *world) decideAnew(d decisionKey) decision {
	now, ring := modelNow.Add(time.Duration(d.clock)*tick), w.concrete(d.ring)
	refused := make(map[string]bool)
	for _, k := range d.ring.keys[:d.ring.n] {
		refused[modelNames[k.id]] = k.asked && d.heard && !w.broken.deaf
	}
	step := w.policy.emergency(ring, func(kid string) bool { return refused[kid] })
	if step.Action == Wait {
		step = w.policy.Next(now, ring)
	}
	if step.Action == Wait && d.hold {
		step = w.policy.early(now, ring)
	}
	var unknownFor time.Duration
	if step.Action == Revoke {
		res, err := w.policy.blastRadius(now, ring, step.KeyID)
		must(err)
		unknownFor = res.UnknownFor
	}
	next, err := w.policy.apply(now, ring, step, simKey)
	must(err)
	changes := step.Action != Wait
	if !changes {
		next, changes = acknowledged(now, ring)
	}
	w.breakDecision(now, step, &next)
	after := abstract(next, d.ring)
	if step.Action == Revoke && !w.broken.cheap {
		w.excuse(&after, d.ring, unknownFor)
	}
	return decision{after, changes}
}

// acknowledged stamps a revoked key; its kid came from the revocation set.
func acknowledged(now time.Time, r Ring) (Ring, bool) {
	r = r.withoutSecrets() // a copy
	for _, k := range r.Keys {
		if k.State == Revoked && k.Since.IsZero() {
			must(r.acknowledge(k.ID, now))
			return r, true
		}
	}
	return r, false
}

// excuse notes the price of haste, as the operator was told it, at the key that begins to sign. It is a tick more for a
// key that has not been published for long enough: what happens at the very boundary is told to nobody.
func (w *world) excuse(r *modelRing, old modelRing, unknownFor time.Duration) {
	for i := range r.n {
		k := &r.keys[i]
		for _, was := range old.keys[:old.n] {
			if was.id == k.id && k.state == modelActive && was.state == modelPrepared && int(was.age) < ticks(w.policy.PublishAhead) {
				k.excuse = uint8(ticks(unknownFor)) + 1
			}
		}
	}
}

func (w *world) breakDecision(now time.Time, step Step, next *Ring) {
	if w.broken.hasty && step.Action == Prepare {
		must(next.activate(next.Keys[len(next.Keys)-1].ID))
	}
	if w.broken.stampEarly {
		next.confirm(now, w.policy.RetiredFor(), w.policy.macRetiredFor())
	}
}

// settles checks that one leader, left in peace, completes what is half done, K5: it ends with one active key and one
// standby, both confirmed, and no key in the ring that the revocation set refuses.
func (w *world) settles(r modelRing) error {
	err, known := w.settled[r]
	if !known {
		err = w.settleAnew(r)
		w.settled[r] = err
	}
	return err
}

func (w *world) settleAnew(r modelRing) error {
	first := r
	for range 40 { // steps, far more than can be due
		d := w.decide(decisionKey{r, w.clocks[0], true, false})
		if !d.changes {
			break
		}
		r = d.ring
		r.rename((&modelState{ring: r}).fresh())
	}
	count := make(map[modelKeyState]int)
	for _, k := range r.keys[:r.n] {
		count[k.state]++
		if k.age == unstamped || k.asked && k.state != modelRevoked {
			return fmt.Errorf("K5: a leader in peace leaves key %d as it is in%s", k.id, tellRing(r))
		}
	}
	if count[modelActive] != 1 || count[modelPrepared] != 1 {
		return fmt.Errorf("K5: a leader in peace makes%s of%s", tellRing(r), tellRing(first))
	}
	return nil
}

func must(err error) {
	if err != nil {
		panic(errors.Join(errors.New("the transition was decided for this very ring"), err))
	}
}
