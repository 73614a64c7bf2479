package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// Options are the settings of a [Guard]. Only Audience is required.
type Options struct {
	// Audience is the name of this service in the "aud" of tokens. A token for other services only is refused.
	Audience string
	// Aliases are further names that are accepted, while a service changes its name for instance.
	Aliases []string
	// MaxStaleness is how old the copy of the revocations may be, and so the longest time that a revoked token may be
	// accepted. Default 5 s; routes can differ ([Stale]).
	MaxStaleness time.Duration
	// Leeway is how far this clock and the issuer's may differ. Whole seconds, at most and by default 30 s.
	Leeway time.Duration
	// CacheBytes bounds the memory for tokens seen before. Default 32 MiB.
	CacheBytes int

	// StartTimeout is how long New waits for the issuer. Default 10 s.
	StartTimeout time.Duration
	// Lazy lets New return at once: the issuer is looked for in the background, for as long as it takes, and requests
	// are answered 503 until it was found.
	Lazy bool
	// OnlineTimeout bounds each question of an [Online] route to the issuer or to Redis. Default 2 s.
	OnlineTimeout time.Duration
	// InsecureIssuer accepts an http issuer that is not on loopback: whoever can change what passes between here and
	// there can then make tokens.
	InsecureIssuer bool
	// Client, if set, lends its Transport to all requests to the issuer, for a private CA for instance.
	Client *http.Client

	// Keys and Revocations, given both, take the place of the issuer's HTTP interfaces: for a service that runs in one
	// process with its issuer, and for tests. No request is made then, and no goroutine started.
	Keys        token.VerificationKeys
	Revocations Revocations

	// Redis, if set, takes the place of the issuer's revocation feed, and is what [Online] routes ask: for a service that
	// may read the Redis in which authd keeps the revocations. [redisstore.Source] is one. Keys still come from the issuer,
	// who is found by discovery. The guard does not close it; that is for the caller to do, after Close.
	//
	// [redisstore.Source]: https://pkg.go.dev/github.com/authd-project/authd/revocation/redisstore#Source
	Redis RedisSource

	// DPoP is about tokens that are bound to a key.
	DPoP DPoPOptions

	Observer Observer         // told of each decision, for metrics; nil costs nothing
	Log      *slog.Logger     // nil discards
	Now      func() time.Time // nil means time.Now
}

// Revocations is a replica of the revocation set: a [revocation.Mirror].
type Revocations interface {
	// Check decides with the replica's own bound on its age.
	revocation.Checker
	// Within decides with another.
	Within(maxAge time.Duration) revocation.Checker
	// Status tells how old the replica is.
	Status() revocation.Status
}

// RedisSource is a way to the revocation set that does not lead through the issuer.
type RedisSource interface {
	revocation.Feed    // for the guard's replica
	revocation.Checker // asks about one token, on all axes at once
}

func (o *Options) setDefaults() {
	if o.MaxStaleness == 0 {
		o.MaxStaleness = revocation.DefaultMaxStaleness
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 10 * time.Second
	}
	if o.OnlineTimeout == 0 {
		o.OnlineTimeout = 2 * time.Second
	}
	if o.Leeway == 0 {
		o.Leeway = token.DefaultLeeway
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func (o *Options) validate(issuer string) error {
	var errs []error
	if o.Audience == "" || slices.Contains(o.Aliases, "") {
		errs = append(errs, errors.New("Audience: required; a token for any other service would pass without it"))
	}
	if min(o.MaxStaleness, o.StartTimeout, o.OnlineTimeout) < 0 {
		errs = append(errs, errors.New("MaxStaleness, StartTimeout and OnlineTimeout must not be negative"))
	}
	if (o.Keys == nil) != (o.Revocations == nil) {
		errs = append(errs, errors.New("Keys and Revocations go together"))
	}
	if o.Redis != nil && o.Revocations != nil {
		errs = append(errs, errors.New("Redis and Revocations exclude each other"))
	}
	errs = append(errs, o.DPoP.validate())
	if o.Keys == nil {
		errs = append(errs, checkIssuer(issuer, o.InsecureIssuer))
	}
	return errors.Join(errs...)
}

// Guard decides about requests by their access tokens. Its methods may be called concurrently.
type Guard struct {
	issuer    string
	opts      Options
	challenge string    // `Bearer realm="…"`
	began     time.Time // when it was made
	proofs    *dpop.Verifier

	sources atomic.Pointer[sources] // nil until the issuer was found
	feedErr atomic.Pointer[error]   // why the feed broke when it last did
	ready   chan struct{}           // closed when every source has been filled
	cancel  context.CancelFunc      // ends the background work
	done    sync.WaitGroup          // for it
}

// New makes a guard for the tokens of an issuer, whose URL must be exactly the "iss" of its tokens.
//
// It asks the issuer for its metadata, keys and revocations, and returns when all are there, or an error when that takes
// longer than StartTimeout or can never succeed (but see Lazy). Both are kept current in the background until ctx ends
// or Close is called; after that the guard answers 503, so end ctx only when the server has shut down. Should the issuer
// fail meanwhile, its keys are trusted for an hour, and its revocations as each route says.
func New(ctx context.Context, issuerURL string, opts Options) (*Guard, error) {
	opts.setDefaults()
	if err := opts.validate(issuerURL); err != nil {
		return nil, fmt.Errorf("guard for %s: %w", issuerURL, err)
	}
	g := &Guard{
		issuer: issuerURL, opts: opts, challenge: "Bearer realm=" + quoted(opts.Audience),
		began: opts.Now(), ready: make(chan struct{}),
	}
	var err error
	if g.proofs, err = newProofs(opts); err != nil {
		return nil, fmt.Errorf("guard for %s: %w", issuerURL, err)
	}
	ctx, g.cancel = context.WithCancel(ctx)
	if err := g.start(ctx); err != nil {
		g.Close()
		return nil, fmt.Errorf("guard for %s: %w", issuerURL, err)
	}
	return g, nil
}

// Close ends the background work and waits for it. The guard answers 503 from then on.
func (g *Guard) Close() {
	g.cancel()
	g.done.Wait()
}

// Ready is closed once the guard has everything to decide with. It is closed when New returns, but for a Lazy guard.
func (g *Guard) Ready() <-chan struct{} { return g.ready }

// Status is what a guard says about its sources, for health checks and metrics.
type Status struct {
	Found       bool              // the issuer's metadata has been read
	Keys        keys.RemoteStatus // zero where Options.Keys are used
	Revocations revocation.Status
	// Staleness is the age of Revocations.AsOf. While nothing has come, it is that of the guard.
	Staleness time.Duration
}

// Status tells how current the guard's keys and revocations are.
func (g *Guard) Status() Status {
	st, complete := Status{}, g.began
	if s := g.sources.Load(); s != nil {
		st.Found, st.Revocations = true, s.revocations.Status()
		if s.remote != nil {
			st.Keys = s.remote.Status()
		}
	}
	if asOf := st.Revocations.AsOf; !asOf.IsZero() {
		complete = asOf
	}
	st.Staleness = max(0, g.opts.Now().Sub(complete))
	return st
}
