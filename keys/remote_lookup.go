package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"
)

// lookUp is the slow path: the kid is not in the set at hand.
func (r *Remote) lookUp(ctx context.Context, kid, alg string) (crypto.PublicKey, bool, error) {
	f, err := r.askFor(kid)
	if err == nil && f != nil {
		err = r.await(ctx, f)
	}
	if err != nil {
		return nil, false, err
	}
	k, ok := r.set.Load().keys[kid]
	if !ok {
		if f != nil {
			r.remember(kid)
		}
		return nil, false, nil
	}
	return k.forAlg(alg)
}

// askFor decides what an unknown kid is worth: the fetch to wait for, or nil when the set at hand is answer enough, or
// the error when there is nothing to answer with and too little time has passed since the latest fetch failed.
func (r *Remote) askFor(kid string) (*flight, error) {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.set.Load()
	switch {
	case r.stopped:
		return nil, unavailable(errStopped)
	case !plausibleKID(kid):
		return nil, nil
	case s.usable() && (s.rulesOut(kid) || r.missing.has(kid, now) || age(now, s.asOf) < r.refetchAfter(s)):
		return nil, nil
	}
	return r.fetchSoon(now)
}

// fetchSoon returns the fetch under way, or asks for one unless the latest, which has failed, is too recent. r.mu is held.
func (r *Remote) fetchSoon(now time.Time) (*flight, error) {
	switch {
	case r.flight != nil:
		return r.flight, nil
	case r.failed != nil && age(now, r.begun) < r.cfg.RefetchAfter:
		return nil, unavailable(r.failed)
	}
	r.flight = newFlight(now)
	r.wanted <- struct{}{} // never blocks: it is empty whenever there is no flight
	return r.flight, nil
}

// Confirm returns the ETag, as the issuer gave it, of the set that Remote holds, once that was fetched or confirmed less
// than RefetchAfter, or one fetch, ago. It fetches if need be, asking the caches on the way not to answer, and waits for
// that no longer than a request would. Whoever tells others what it holds says no more than it knows: after an error,
// which wraps [ErrUnavailable] or the context's, the set may be good and yet not the issuer's any more.
func (r *Remote) Confirm(ctx context.Context) (etag string, err error) {
	f, err := r.askToConfirm()
	if err == nil && f != nil {
		err = r.await(ctx, f)
	}
	if err != nil {
		return "", err
	}
	s := r.set.Load()
	if !s.usable() {
		return "", unavailable(errors.New("no set to trust"))
	}
	return s.etag, nil
}

// askToConfirm returns the fetch to wait for, or nil when the set at hand is recent enough.
func (r *Remote) askToConfirm() (*flight, error) {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch s := r.set.Load(); {
	case r.stopped:
		return nil, unavailable(errStopped)
	case s.usable() && age(now, s.asOf) < r.cfg.RefetchAfter:
		return nil, nil
	}
	return r.fetchSoon(now)
}

// refetchAfter is how old s must be for a kid that it lacks to be looked for. A set that has outlived its max-age, as
// refreshes fail, may lack a key that signs already.
func (r *Remote) refetchAfter(s *remoteSet) time.Duration {
	return min(r.cfg.RefetchAfter, max(s.life, minRefresh))
}

// rulesOut tells that kid cannot be a new key of the issuer of s. Where every kid of the set has the shape of authd's,
// one of another shape is junk and not worth a fetch. Nothing is ruled out for an issuer that names its keys otherwise,
// and no kid for its ring epoch: a ring that was made anew has another, and its tokens must not be refused until the
// next refresh.
func (s *remoteSet) rulesOut(kid string) bool {
	_, ours := ParseKeyID(kid)
	return s.ours && !ours
}

// await waits for a fetch until it has landed, but no longer than Wait after it began: a request that comes late to a
// fetch that hangs does not wait at all.
func (r *Remote) await(ctx context.Context, f *flight) error {
	timer := time.NewTimer(r.cfg.Wait - age(r.cfg.Now(), f.begun))
	defer timer.Stop()
	select {
	case <-f.done:
		if f.err != nil {
			return unavailable(f.err)
		}
		return nil
	case <-timer.C:
		return unavailable(errors.New("no answer in time"))
	case <-ctx.Done():
		return fmt.Errorf("waiting for the JWKS: %w", ctx.Err())
	}
}

func unavailable(err error) error { return fmt.Errorf("%w: JWKS: %w", ErrUnavailable, err) }

// remember notes that kid was looked for in vain.
func (r *Remote) remember(kid string) {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.missing.add(kid, now)
}

// flight is one fetch that requests may wait for.
type flight struct {
	begun time.Time
	done  chan struct{} // closed when the fetch has landed, after err was set
	err   error
}

func newFlight(now time.Time) *flight { return &flight{begun: now, done: make(chan struct{})} }

func (f *flight) land(err error) {
	f.err = err
	close(f.done)
}

// missingKIDs remembers kids that a fetch did not find, so that one bad token, repeated, makes no more fetches. It is
// bounded: two generations of at most 512 kids; whoever floods it is back at one fetch in RefetchAfter.
type missingKIDs struct {
	young, old map[string]time.Time // kid → when it was looked for
}

const (
	missingFor = 30 * time.Second // short, as a cache on the way to the issuer may have answered with yesterday's set
	missingMax = 512
)

func (m *missingKIDs) has(kid string, now time.Time) bool {
	at, ok := m.young[kid]
	if !ok {
		at, ok = m.old[kid]
	}
	return ok && age(now, at) < missingFor
}

func (m *missingKIDs) add(kid string, now time.Time) {
	if m.young == nil || len(m.young) >= missingMax {
		m.young, m.old = make(map[string]time.Time), m.young
	}
	m.young[kid] = now
}
