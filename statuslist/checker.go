package statuslist

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// CheckerConfig says whose lists a [Checker] goes by. Issuer and Keys are required.
type CheckerConfig struct {
	// Issuer is the URL of the issuer. Lists are fetched from its origin only, whatever a token says, and redirects are
	// followed within it only.
	Issuer string
	Keys   token.VerificationKeys // that verify the issuer's tokens verify its lists: a [keys.Remote], for instance

	// Client lends its Transport to the requests; nil means one of the checker's own.
	Client *http.Client
	// MaxTTL is the longest time for which a list is used without looking for a newer one, and MinTTL the shortest,
	// whatever the list says. Default 15 min and 1 s.
	MaxTTL, MinTTL time.Duration
	// MaxAge is how long after its making a list is used at most while there is no newer one to be had, whatever its exp
	// says. Default 1 h.
	MaxAge time.Duration
	// FetchTimeout bounds one fetch, from connecting to the last byte. Default 10 s.
	FetchTimeout time.Duration
	// Wait is how long a check waits for a list. Default 2 s.
	Wait time.Duration
	// Limits of one list. Default 16 MiB for the JWT and 8 MiB for the list, which is 64 Mi tokens of one bit each.
	Limits Limits
	// Lists is how many lists are kept; others are fetched at each check. Default 64.
	Lists int

	Now func() time.Time // default time.Now
	Log *slog.Logger     // default: none
}

func (c *CheckerConfig) setDefaults() {
	setDefault(&c.MaxTTL, 15*time.Minute)
	setDefault(&c.MinTTL, time.Second)
	setDefault(&c.MaxAge, time.Hour)
	setDefault(&c.FetchTimeout, 10*time.Second)
	setDefault(&c.Wait, 2*time.Second)
	setDefault(&c.Limits.TokenBytes, 16<<20)
	setDefault(&c.Limits.ListBytes, 8<<20)
	setDefault(&c.Lists, 64)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func (c *CheckerConfig) validate() error {
	var errs []error
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, errors.New("issuer: want an http or https URL"))
	}
	if c.Keys == nil {
		errs = append(errs, errors.New("keys: required"))
	}
	if c.MinTTL < 0 || c.MaxTTL < c.MinTTL || c.MaxAge < c.MaxTTL {
		errs = append(errs, errors.New("MinTTL, MaxTTL and MaxAge: must not be negative, each at least the one before"))
	}
	if c.FetchTimeout < 0 || c.Wait < 0 || c.Lists < 0 || c.Limits.TokenBytes < 0 || c.Limits.ListBytes < 0 {
		errs = append(errs, errors.New("FetchTimeout, Wait, Limits and Lists: must not be negative"))
	}
	return errors.Join(errs...)
}

// Checker decides about tokens by the status lists that they name. It takes the place of a [revocation.Mirror] in a
// [token.Verifier]: with less freshness and nothing to follow.
//
// A list is fetched when the first token asks for it. It is fetched again in the background when four fifths of its ttl
// are over, if it is still asked for; when all of it is over, checks wait for that. A list whose issuer does not answer
// is used until its exp, or MaxAge. Without a list that holds, the answer is [revocation.ErrUnavailable]: never that the
// token is valid. So it is with an issuer that is down when the checker starts, and for a token that names no list.
//
// Each list is fetched by one request at a time, and after a failure not again before a pause that grows to half
// a minute. Methods may be called concurrently.
type Checker struct {
	cfg    CheckerConfig
	origin origin
	client *http.Client

	mu      sync.Mutex
	held    map[string]*held // by URI
	closed  bool
	ctx     context.Context // of all fetches
	cancel  context.CancelFunc
	fetches sync.WaitGroup
}

// NewChecker returns a checker, or an error that names every setting to change. Close it.
func NewChecker(c CheckerConfig) (*Checker, error) {
	c.setDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("status checker: %w", err)
	}
	k := &Checker{cfg: c, held: make(map[string]*held)}
	u, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, fmt.Errorf("status checker: %w", err)
	}
	k.origin = originOf(u)
	k.client = k.newClient()
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// Close ends all fetches and waits for them. Checks answer by the lists that are held until those expire.
func (k *Checker) Close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.fetches.Wait()
	if k.cfg.Client == nil {
		k.client.CloseIdleConnections()
	}
}

// Check implements [revocation.Checker]. Whatever a list says other than "valid" is [revocation.ErrRevoked].
func (k *Checker) Check(ctx context.Context, c revocation.Claims) error {
	if c.StatusURI == "" {
		return fmt.Errorf("%w: the token names no status list", revocation.ErrUnavailable)
	}
	list, err := k.list(ctx, c.StatusURI)
	if err != nil {
		return fmt.Errorf("%w: status list: %w", revocation.ErrUnavailable, err)
	}
	status, ok := list.Get(c.StatusIndex)
	switch {
	case !ok: // section 8.3: no statement can be made
		return fmt.Errorf("%w: the status list ends before the token's index", revocation.ErrUnavailable)
	case status != Valid:
		return fmt.Errorf("%w: %v by the status list", revocation.ErrRevoked, status)
	}
	return nil
}

// list returns a list that holds.
func (k *Checker) list(ctx context.Context, uri string) (*List, error) {
	h, err := k.holder(uri)
	if err != nil {
		return nil, err
	}
	now := k.cfg.Now()
	t := h.token.Load()
	if t != nil && now.Before(t.aging) {
		return t.list, nil
	}
	done := k.refresh(h, now)
	if t != nil && now.Before(t.due) {
		return t.list, nil
	}
	if done != nil {
		if err := k.await(ctx, done); err != nil && (t == nil || !now.Before(t.expires)) {
			return nil, err
		}
	}
	// What has come, or what there was for as long as it holds.
	if t = h.token.Load(); t != nil && k.cfg.Now().Before(t.expires) {
		return t.list, nil
	}
	return nil, h.failure()
}

func (k *Checker) await(ctx context.Context, done <-chan struct{}) error {
	timer := time.NewTimer(k.cfg.Wait)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-timer.C:
		return errors.New("not fetched in time")
	case <-ctx.Done():
		return ctx.Err()
	}
}
