package redislock

import (
	"cmp"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/internal/redisscript"
)

//go:embed hold.lua
var holdSource string

//go:embed release.lua
var releaseSource string

//go:embed holder.lua
var holderSource string

// ErrUnavailable means that the server could not be reached or did not answer in time.
var ErrUnavailable = errors.New("election unavailable")

// minLease leaves time for a round trip between two renewals.
const minLease = 500 * time.Millisecond

// Config configures a [Lock].
type Config struct {
	// Client is required: a *redis.Client, also one that follows Sentinel, or a *redis.ClusterClient. It must have been
	// made with ContextTimeoutEnabled, and stays the caller's to close.
	Client redis.UniversalClient
	// Name tells elections on one server apart; default "authd".
	Name string
	// Identity is the name that Leader answers for this process; required, without a newline. It need not be unique, as
	// a random part is added to it that is.
	Identity string
	// Lease is how long a leader that is not heard of keeps others out; default 5 s, at least 500 ms. It is renewed, and
	// candidates ask for it, every fifth of it; work ends a tenth of it before it can have expired.
	Lease  time.Duration
	Now    func() time.Time // default time.Now; must be monotonic
	Logger *slog.Logger     // default: none
}

// Lock is an election.Elector whose lease is in Redis, under the key
//
//	authd:election:{NAME}
//
// Methods may be called concurrently, Lead once at a time.
type Lock struct {
	redis                 *redisscript.Runner
	hold, release, holder *redis.Script

	key       string
	candidate string // identity, newline, random part
	lease     time.Duration
	now       func() time.Time
	log       *slog.Logger

	mu   sync.Mutex
	seen sight
}

var _ election.Elector = (*Lock)(nil)

// sight is who held the lease when the server was asked.
type sight struct {
	candidate string
	asked     time.Time
}

// New returns a candidate. It does not talk to the server yet; it fails only for an invalid configuration.
func New(c Config) (*Lock, error) {
	lease, name := cmp.Or(c.Lease, 5*time.Second), cmp.Or(c.Name, "authd")
	runner, err := redisscript.New(redisscript.Config{Client: c.Client, Timeout: max(lease, minLease) / 5})
	errs := []error{err}
	if c.Identity == "" || strings.Contains(c.Identity, "\n") {
		errs = append(errs, fmt.Errorf("identity %q: required, without a newline", c.Identity))
	}
	if strings.ContainsAny(name, "{}") {
		errs = append(errs, fmt.Errorf("name %q: must be without braces", name))
	}
	if lease < minLease {
		errs = append(errs, fmt.Errorf("lease %v: must be at least %v", lease, minLease))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("election: %w", err)
	}
	l := &Lock{
		redis:   runner,
		hold:    redis.NewScript(holdSource),
		release: redis.NewScript(releaseSource),
		holder:  redis.NewScript(holderSource),

		key: "authd:election:{" + name + "}", candidate: c.Identity + "\n" + rand.Text(),
		lease: lease, now: c.Now, log: c.Logger,
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.log = l.log.With("election", name, "identity", c.Identity)
	return l, nil
}

// Leader implements [election.Elector]. It asks the server; when that does not answer, the last sight counts for as long
// as the lease, and after that the error wraps [ErrUnavailable].
func (l *Lock) Leader(ctx context.Context) (holder string, asOf time.Time, err error) {
	_, err = l.ask(ctx, l.holder)
	last := l.last()
	if err != nil && (last.asked.IsZero() || l.now().Sub(last.asked) >= l.lease) {
		return "", last.asked, fmt.Errorf("looking for the leader: %w", err)
	}
	holder, _, _ = strings.Cut(last.candidate, "\n")
	return holder, last.asked, nil
}

// ask runs one of the scripts that answer who holds the lease, and takes note of the answer.
func (l *Lock) ask(ctx context.Context, script *redis.Script, args ...any) (sight, error) {
	s := sight{asked: l.now()}
	cmd, err := l.redis.Run(ctx, redisscript.Call{Script: script, Key: l.key, Args: args})
	if err == nil {
		s.candidate, err = cmd.Text()
	}
	if err != nil {
		return sight{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	l.see(s)
	return s, nil
}

func (l *Lock) see(s sight) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !s.asked.Before(l.seen.asked) {
		l.seen = s
	}
}

func (l *Lock) last() sight {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}
