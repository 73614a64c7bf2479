package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// RemoteConfig says where a JWKS is and how to keep it. Only URL is required.
type RemoteConfig struct {
	URL string // of the JWKS: absolute, http or https, without user information

	// Client sends the requests; nil means one of Remote's own. Its CheckRedirect is not used: redirects are followed
	// within the origin of URL only.
	Client *http.Client

	// MaxAge is the longest time that a key is trusted without hearing from the issuer again, so that a key which was
	// removed from the JWKS dies also for a verifier that is cut off. Default 1 h.
	MaxAge time.Duration
	// MaxRefresh is the longest time between two refreshes, whatever the issuer's max-age says. Default 10 min, at
	// most half of MaxAge.
	MaxRefresh time.Duration
	// RefetchAfter is how old the set must be before an unknown kid makes Remote fetch it again: at most one such
	// fetch in this time, however many unknown kids arrive. Default 5 s, or the set's max-age if that is less.
	RefetchAfter time.Duration
	// FetchTimeout bounds one fetch, from connecting to the last byte. Default 5 s.
	FetchTimeout time.Duration
	// Wait is how long after its beginning a fetch is waited for by requests that need it. Default 1 s.
	Wait time.Duration

	Now func() time.Time // nil means time.Now
	Log *slog.Logger     // nil discards
}

func (c *RemoteConfig) setDefaults() {
	orDefault(&c.MaxAge, time.Hour)
	orDefault(&c.MaxRefresh, min(10*time.Minute, c.MaxAge/2))
	orDefault(&c.RefetchAfter, 5*time.Second)
	orDefault(&c.FetchTimeout, 5*time.Second)
	orDefault(&c.Wait, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func orDefault(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

func (c *RemoteConfig) validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		return fmt.Errorf("JWKS URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("JWKS URL %q: want an absolute http or https URL", u.Redacted())
	case u.User != nil:
		return fmt.Errorf("JWKS URL %q: user information is not accepted", u.Redacted())
	case min(c.MaxAge, c.MaxRefresh, c.RefetchAfter, c.FetchTimeout, c.Wait) < 0:
		return errors.New("JWKS client: a duration is negative")
	case c.MaxAge <= c.FetchTimeout+max(c.MaxRefresh, c.RefetchAfter):
		return fmt.Errorf("JWKS client: MaxAge %v must exceed FetchTimeout %v and the longer of MaxRefresh %v and "+
			"RefetchAfter %v, added", c.MaxAge, c.FetchTimeout, c.MaxRefresh, c.RefetchAfter)
	}
	return nil
}

// Remote verifies with the keys of an issuer elsewhere: a client of its JWKS (RFC 7517).
//
// Keys that are in the set cost a map lookup. The set is refreshed in the background as its max-age says. A kid that is
// not in the set makes Remote fetch once more, unless the set was fetched less than RefetchAfter ago, the kid was
// looked for in vain a moment ago, or it cannot be one of this issuer's; so a flood of made-up kids costs the issuer
// nothing worth counting, and it never delays a token whose key is known. No request waits for anything but a fetch that
// is under way, and for that only until Wait after it began.
//
// A fetch that fails in whatever way (no answer, a redirect to another origin, not a JWK set, no usable key, too large)
// leaves the last good set in place until it is MaxAge old. From then on, as before the first good fetch, Remote answers
// [ErrUnavailable] for every kid. One unusable key does not spoil the others: it is left out and logged.
//
// Methods may be called concurrently.
type Remote struct {
	cfg    RemoteConfig
	client *http.Client
	own    *http.Transport // when the client is ours to close

	set   atomic.Pointer[remoteSet] // never nil
	ready chan struct{}             // closed with the first usable set

	wanted  chan struct{} // wakes Run for mu.flight; capacity 1
	mu      sync.Mutex    // guards what follows; the fast path does not take it
	flight  *flight       // the fetch under way or asked for; nil when neither
	begun   time.Time     // when the latest fetch began, or was asked for
	failed  error         // how it ended; nil is well
	stopped bool          // Run has returned
	missing missingKIDs
}

// remoteSet is one fetched set; never changed once published. The zero value is "no keys to be had".
type remoteSet struct {
	keys  map[string]remoteKey // by kid; nil when there is no set to trust
	asOf  time.Time            // before the request was sent that fetched it, or confirmed it unchanged
	whole time.Time            // before the request was sent that fetched the document, and not only a 304
	life  time.Duration        // from then on, as the issuer says
	ours  bool                 // every kid is shaped like authd's own
	body  []byte               // as fetched, to see whether the next one differs
	etag  string
}

func (s *remoteSet) usable() bool { return s.keys != nil }

// NewRemote makes a client that answers [ErrUnavailable] until [Remote.Run] has fetched the set for the first time.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Remote{cfg: cfg, ready: make(chan struct{}), wanted: make(chan struct{}, 1)}
	r.client, r.own = withinOrigin(cfg.Client)
	r.set.Store(&remoteSet{})
	return r, nil
}

// VerificationKey returns the key with this kid, if it is one for this algorithm. known is false when a set fetched at
// most RefetchAfter ago has no such key, or when no set of this issuer would; the error, which wraps [ErrUnavailable] or
// the context's, means that it cannot be told. A kid in the set is answered without lock, allocation or clock.
func (r *Remote) VerificationKey(ctx context.Context, kid, alg string) (key crypto.PublicKey, known bool, err error) {
	if k, ok := r.set.Load().keys[kid]; ok {
		return k.forAlg(alg)
	}
	return r.lookUp(ctx, kid, alg)
}

func (k remoteKey) forAlg(alg string) (crypto.PublicKey, bool, error) {
	if !k.verifies(alg) {
		return nil, false, nil
	}
	return k.public, true, nil
}

// Ready is closed once the first usable set is there.
func (r *Remote) Ready() <-chan struct{} { return r.ready }

// RemoteStatus is what [Remote.Status] reports.
type RemoteStatus struct {
	Usable bool      // there are keys to verify with
	KeyIDs []string  // sorted
	AsOf   time.Time // the set was the issuer's at this time or later; zero without a set
	Err    error     // why the latest fetch failed; nil when it did not
}

// Status tells what Remote holds and how its latest fetch went.
func (r *Remote) Status() RemoteStatus {
	s := r.set.Load()
	st := RemoteStatus{Usable: s.usable(), AsOf: s.asOf}
	for kid := range s.keys {
		st.KeyIDs = append(st.KeyIDs, kid)
	}
	slices.Sort(st.KeyIDs)
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Err = r.failed
	return st
}

// Run keeps the set current until ctx ends and then returns nil; from then on Remote is unavailable, since nobody
// watches the age of its keys any more. Call it once.
func (r *Remote) Run(ctx context.Context) error {
	defer r.stop()
	for failures := 0; ctx.Err() == nil; {
		lifetime, err := r.refresh(ctx)
		delay := refreshDelay(lifetime, r.cfg.MaxRefresh)
		if failures++; err == nil {
			failures = 0
		} else {
			delay = retryDelay(failures)
		}
		r.idle(ctx, delay)
	}
	return nil
}

// idle returns when the next fetch is due: delay after the latest began, or when a request asks for one. Meanwhile it
// sees to it that no set is trusted beyond MaxAge. Ages are judged on both clocks, hence the tick: a machine that slept
// finds out by the wall clock only.
func (r *Remote) idle(ctx context.Context, delay time.Duration) {
	const tick = 10 * time.Second
	for ctx.Err() == nil {
		now := r.cfg.Now()
		// A fetch may take FetchTimeout, and during it nobody looks.
		left := r.cfg.MaxAge - r.cfg.FetchTimeout - age(now, r.set.Load().asOf)
		if left <= 0 {
			r.drop()
			left = tick
		}
		r.mu.Lock()
		due := delay - age(now, r.begun)
		r.mu.Unlock()
		if due <= 0 {
			return
		}
		timer := time.NewTimer(min(due, left, tick))
		select {
		case <-ctx.Done():
		case <-r.wanted:
			timer.Stop()
			return
		case <-timer.C:
		}
		timer.Stop()
	}
}

// age is how long ago t was, by the clock on which it is longer ago: the monotonic one stands still while the machine
// sleeps, the wall clock may be set back.
func age(now, t time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// minRefresh bounds how often a tiny max-age makes Remote fetch.
const minRefresh = 500 * time.Millisecond

// refreshDelay spends most of the set's lifetime: before its end, so that there is time for a second try, and not in
// step with other verifiers.
func refreshDelay(lifetime, longest time.Duration) time.Duration {
	d := min(lifetime, longest)
	return max(d-d/20-jitter(d*3/20), minRefresh)
}

// retryDelay grows from 1 s to 30 s, the upper half of it at random.
func retryDelay(failures int) time.Duration {
	d := min(time.Second<<min(failures-1, 5), 30*time.Second)
	return d/2 + jitter(d/2)
}

func jitter(d time.Duration) time.Duration { return rand.N(d + 1) }

// drop stops trusting the set.
func (r *Remote) drop() {
	if old := r.set.Swap(&remoteSet{}); old.usable() {
		r.cfg.Log.Error("JWKS too old, no key is trusted", "url", r.cfg.URL, "as_of", old.asOf)
	}
}

// stop ends the service of r after Run.
func (r *Remote) stop() {
	r.mu.Lock()
	r.stopped = true
	if r.flight != nil {
		r.flight.land(errStopped)
		r.flight = nil
	}
	r.mu.Unlock()
	r.set.Store(&remoteSet{})
	if r.own != nil {
		r.own.CloseIdleConnections()
	}
}

var errStopped = errors.New("the JWKS client was stopped")
