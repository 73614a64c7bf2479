package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

var (
	// ErrNotLeader means that this process does not lead, so it cannot change the ring.
	ErrNotLeader = errors.New("not the leader")
	// ErrNotFound means that the ring has no such key.
	ErrNotFound = errors.New("no such key in the ring")
)

// KeyRevoker puts a kid into the revocation set.
type KeyRevoker interface {
	// RevokeKey is durable once it returns nil: no verifier with a fresh mirror accepts a token of this kid until the
	// given time. It is repeated after an error, and at the beginning of each leadership.
	RevokeKey(ctx context.Context, kid string, until time.Time) error
}

// KeyRevokerFunc makes a KeyRevoker of a function.
type KeyRevokerFunc func(ctx context.Context, kid string, until time.Time) error

// RevokeKey implements [KeyRevoker].
func (f KeyRevokerFunc) RevokeKey(ctx context.Context, kid string, until time.Time) error {
	return f(ctx, kid, until)
}

// RotatorConfig says which ring to keep. Store, Policy, Holder and Revocations are required.
type RotatorConfig struct {
	Store       Store
	Policy      Policy
	Holder      string     // this process's name, unique among the candidates
	Revocations KeyRevoker // where the kid of a revoked key goes
	// Revoked is what this process has heard of the same set. It lets any process revoke a key and the leader take
	// notice, so give it to all processes that share a ring, or to none: nil means that only the leader revokes.
	Revoked RevokedKeys
	// Reports is what the verifiers say they hold; required if the policy has a PublishAheadLeast.
	Reports Reports
	View    *View // may be nil; tells of the ring while its store is out of reach
	// Pass, if not nil, is called for each pass of the leader over the ring, and for its claim. It calls work once, with
	// ctx or one derived from it, which then reaches the Store, and returns what work does.
	Pass func(ctx context.Context, work func(context.Context) error) error
	Now  func() time.Time // nil means time.Now
	Log  *slog.Logger     // nil discards
}

// Rotator changes the ring, while its process leads. Methods may be called concurrently.
type Rotator struct {
	cfg      RotatorConfig
	generate generator

	mu   sync.Mutex
	lead *leadership // guarded by mu; nil while this process does not lead
}

// NewRotator makes a rotator that does nothing until [Rotator.Lead] runs.
func NewRotator(cfg RotatorConfig) (*Rotator, error) {
	if cfg.Store == nil || cfg.Revocations == nil || cfg.Holder == "" {
		return nil, errors.New("key rotator: Store, Holder and Revocations are required")
	}
	if err := cfg.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("key rotator: %w", err)
	}
	if cfg.Policy.PublishAheadLeast > 0 && cfg.Reports == nil {
		return nil, errors.New("key rotator: Reports are required with publish-ahead-least")
	}
	if cfg.Pass == nil {
		cfg.Pass = func(ctx context.Context, work func(context.Context) error) error { return work(ctx) }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Rotator{cfg: cfg, generate: generatePrivate}, nil
}

// storeTimeout bounds each question to the store and to the revocation set.
const storeTimeout = 5 * time.Second

// Lead is the work of a leader: it claims the ring and then performs what [Policy.Next] says until ctx ends or another
// leader has claimed the ring, and returns nil in both cases. It waits while the store is unavailable. Any other failure,
// such as a ring that cannot be opened, is returned: leading again would not mend it.
func (r *Rotator) Lead(ctx context.Context) error {
	term, err := r.claim(ctx)
	if err != nil {
		return endOf(ctx, err)
	}
	log := r.cfg.Log.With("term", term)
	log.Info("leading the key ring", "holder", r.cfg.Holder)
	l := &leadership{
		r: r, term: term, log: log, announced: make(map[string]bool),
		commands: make(chan func(context.Context)), done: make(chan struct{}),
	}
	r.setLead(l)
	defer func() {
		r.setLead(nil)
		close(l.done)
	}()
	err = endOf(ctx, l.run(ctx))
	if errors.Is(err, ErrStale) {
		log.Warn("another leader has claimed the key ring", "err", err)
		return nil
	}
	return err
}

// endOf turns what a failing call says after ctx has ended into nil: being asked to stop is no failure.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// claim takes the next term. It repeats a claim whose outcome is unknown, and one that lost against another write.
func (r *Rotator) claim(ctx context.Context) (Term, error) {
	for failures := 1; ; failures++ {
		term, err := r.claimOnce(ctx)
		if err == nil || !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrStale) {
			return term, err
		}
		r.cfg.Log.Warn("the key ring cannot be claimed, trying again", "err", err)
		if pause(ctx, backoff(failures)); ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

func (r *Rotator) claimOnce(ctx context.Context) (Term, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var term Term
	err := r.cfg.Pass(ctx, func(ctx context.Context) (err error) {
		term, err = r.cfg.Store.Claim(ctx, r.cfg.Holder)
		return err
	})
	return term, err
}

func (r *Rotator) setLead(l *leadership) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lead = l
}

// commandTimeout bounds how long a command is repeated while its outcome is unknown.
const commandTimeout = 10 * time.Second

// command runs f in the loop of the leader, between two steps, and again while its outcome is unknown. f may see the
// effect of an earlier attempt whose answer was lost.
func (r *Rotator) command(ctx context.Context, f func(ctx context.Context, l *leadership) error) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for failures := 1; ; failures++ {
		err := r.attempt(ctx, f)
		if errors.Is(err, ErrStale) {
			return fmt.Errorf("%w (any more): %w", ErrNotLeader, err)
		}
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		if pause(ctx, backoff(failures)); ctx.Err() != nil {
			return err
		}
	}
}

// attempt runs f in the loop once and waits for it.
func (r *Rotator) attempt(ctx context.Context, f func(ctx context.Context, l *leadership) error) error {
	r.mu.Lock()
	l := r.lead
	r.mu.Unlock()
	if l == nil {
		return ErrNotLeader
	}
	result := make(chan error, 1)
	work := func(leading context.Context) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(leading, cancel)() // f ends with whichever context ends first
		result <- f(ctx, l)
	}
	select {
	case l.commands <- work:
		return <-result // the loop finishes what it has taken
	case <-l.done:
		return ErrNotLeader
	case <-ctx.Done():
		return fmt.Errorf("waiting for the leader's loop: %w", ctx.Err())
	}
}
