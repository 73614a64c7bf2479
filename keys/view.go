package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ViewConfig says which ring to follow. Store and Policy are required.
type ViewConfig struct {
	Store  Store
	Policy Policy // the same in every process that shares the ring
	// Revoked is what this process has heard of the revocation set; may be nil. With it the view neither signs with nor
	// publishes a key that was revoked elsewhere, even before a leader has changed the ring.
	Revoked RevokedKeys
	Now     func() time.Time // nil means time.Now
	Log     *slog.Logger     // nil discards
}

// View is one process's replica of the ring: what it signs with, verifies by and publishes. [View.Run] keeps it current.
//
// A view that is older than Policy.ViewAge signs nothing, publishes nothing and calls no kid unknown, but answers with
// [ErrUnavailable]: the leader counts on it. What it does know stays true, so it goes on verifying with the keys it has,
// store or no store; a key that was revoked since is the revocation set's to refuse.
//
// Methods may be called concurrently. Lookups take no lock.
type View struct {
	cfg   ViewConfig
	state atomic.Pointer[snapshot] // nil until the first load; never changed once published
	ready chan struct{}            // closed with the first snapshot

	published atomic.Pointer[publication] // what JWKS answered last

	loading sync.Mutex // one load at a time, so that an older answer never replaces a newer one
}

// NewView makes a view that answers [ErrUnavailable] until its first load, by [View.Run] or [View.Refresh].
func NewView(cfg ViewConfig) (*View, error) {
	if cfg.Store == nil {
		return nil, errors.New("key view: Store is required")
	}
	if err := cfg.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("key view: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &View{cfg: cfg, ready: make(chan struct{})}, nil
}

// SigningKey returns the key that signs now. A caller reads the clock for "iat" before it asks, so that a pause between
// the two cannot make a token outlive its key.
func (v *View) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	s, err := v.current()
	if err != nil {
		return "", "", nil, err
	}
	k := s.signing
	if v.revoked(k) { // better no token than one that every verifier refuses
		return "", "", nil, fmt.Errorf("%w: the key that signs was revoked, and the leader has yet to replace it", ErrUnavailable)
	}
	return k.ID, k.Algorithm, k.Private, nil
}

// VerificationKey returns the key with this kid, if it is one for this algorithm. known is false when the ring has no
// such key (any more).
func (v *View) VerificationKey(_ context.Context, kid, alg string) (key crypto.PublicKey, known bool, err error) {
	s := v.state.Load()
	if s != nil {
		if k, ok := s.public[kid]; ok {
			if k.alg != alg {
				return nil, false, nil
			}
			return k.key, true, nil
		}
	}
	if err := v.fresh(s); err != nil {
		return nil, false, err
	}
	return nil, false, nil
}

// MACKey returns the key that new refresh tokens are made with.
func (v *View) MACKey(context.Context) (id uint32, key []byte, err error) {
	s, err := v.current()
	if err != nil {
		return 0, nil, err
	}
	return s.mac.ID, s.mac.Secret, nil
}

// MACKeyByID returns the key that a presented refresh token names; known is false when the ring has none (any more).
func (v *View) MACKeyByID(_ context.Context, id uint32) (key []byte, known bool, err error) {
	s := v.state.Load()
	if s != nil {
		if secret, ok := s.macs[id]; ok {
			return secret, true, nil
		}
	}
	if err := v.fresh(s); err != nil {
		return nil, false, err
	}
	return nil, false, nil
}

// JWKS returns the key set to serve. It is never empty; without a fresh view there is an error instead.
func (v *View) JWKS(context.Context) (JWKS, error) {
	s, now := v.state.Load(), v.cfg.Now()
	if err := v.freshAt(now, s); err != nil {
		return JWKS{}, err
	}
	d := v.publish(now, s)
	if d.err != nil {
		return JWKS{}, d.err
	}
	return JWKS{Body: d.body, ETag: d.etag, MaxAge: v.cfg.Policy.maxAge(now, s.ring)}, nil
}

// publication is the JWKS of a snapshot without the keys that were revoked when last looked.
type publication struct {
	of     *snapshot
	looked time.Time
	body   []byte
	etag   string
	err    error
}

// publicationAge is how long the look into the revocation set serves all who ask for the JWKS: nothing beside the minutes
// for which they keep it.
const publicationAge = 100 * time.Millisecond

func (v *View) publish(now time.Time, s *snapshot) *publication {
	if d := v.published.Load(); d != nil && d.of == s && (v.cfg.Revoked == nil || age(now, d.looked) < publicationAge) {
		return d
	}
	d := &publication{of: s, looked: now, body: s.jwks, etag: s.etag}
	if slices.ContainsFunc(s.ring.Keys, v.revoked) {
		d.body, d.etag, d.err = jwksOf(s.ring.without(v.revoked))
	}
	v.published.Store(d)
	return d
}

// revoked tells whether a key that the ring still publishes is known to be revoked.
func (v *View) revoked(k Key) bool {
	return v.cfg.Revoked != nil && k.published() && v.cfg.Revoked.Revoked(k.ID)
}

// Ring returns the ring as last seen, without its private keys and secrets, and when that was. It does not mind the
// view's age.
func (v *View) Ring() (Ring, time.Time, error) {
	s := v.state.Load()
	if s == nil {
		return Ring{}, time.Time{}, v.fresh(nil)
	}
	return s.ring.withoutSecrets(), s.asOf, nil
}

// Ready is closed once the ring has been loaded for the first time.
func (v *View) Ready() <-chan struct{} { return v.ready }

// Check tells whether the view may sign and serve now: nil, or an error that wraps [ErrUnavailable].
func (v *View) Check() error {
	_, err := v.current()
	return err
}

// current returns the snapshot if it is fresh.
func (v *View) current() (*snapshot, error) {
	s := v.state.Load()
	if err := v.fresh(s); err != nil {
		return nil, err
	}
	return s, nil
}

func (v *View) fresh(s *snapshot) error { return v.freshAt(v.cfg.Now(), s) }

func (v *View) freshAt(now time.Time, s *snapshot) error {
	if s == nil {
		return fmt.Errorf("%w: the key ring was not loaded yet", ErrUnavailable)
	}
	if age := age(now, s.asOf); age > v.cfg.Policy.ViewAge {
		return fmt.Errorf("%w: the view of the key ring is %v old, at most %v is allowed",
			ErrUnavailable, age.Round(time.Millisecond), v.cfg.Policy.ViewAge)
	}
	return nil
}

// Refresh loads the ring now. Run does so by itself; Refresh is for the start and for whoever cannot wait. After an error
// the view is what it was.
func (v *View) Refresh(ctx context.Context) error {
	v.loading.Lock()
	defer v.loading.Unlock()
	asOf := v.cfg.Now() // before the question, never after the answer
	ring, version, err := v.cfg.Store.Load(ctx)
	if err != nil {
		return err
	}
	old := v.state.Load()
	if old != nil && old.version == version {
		v.state.Store(old.renewed(asOf))
		return nil
	}
	if ring.Epoch == "" {
		return errEmpty // also when there was one before: an empty ring is never served
	}
	s, err := newSnapshot(ring, version, asOf)
	if err != nil {
		return err
	}
	v.state.Store(s)
	switch {
	case old == nil:
		close(v.ready)
	case old.ring.Epoch != ring.Epoch:
		v.cfg.Log.Error("the key ring was made anew; tokens of the old one are refused",
			"old_epoch", old.ring.Epoch, "epoch", ring.Epoch)
	}
	return nil
}
