package etcdlock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/election"
)

// ErrUnavailable means that etcd could not be reached or did not answer in time.
var ErrUnavailable = errors.New("election unavailable")

// minLease is above what etcd itself rounds up to, and leaves time for a round trip between two renewals.
const minLease = 3 * time.Second

// Config configures a [Lock].
type Config struct {
	Client *clientv3.Client // required; stays the caller's to close
	// Name tells elections in one etcd apart; default "authd". It must be without a slash.
	Name string
	// Identity is the name that Leader answers for this process; required. It need not be unique.
	Identity string
	// Lease is how long a leader that is not heard of keeps others out; default 5 s, whole seconds, at least 3 s. It is
	// renewed every fifth of it; work ends a tenth of it before it can have expired.
	Lease  time.Duration
	Now    func() time.Time // default time.Now; must be monotonic
	Logger *slog.Logger     // default: none
}

// Lock is an election.Elector whose candidates are the keys below
//
//	authd/election/NAME/
//
// Methods may be called concurrently, Lead once at a time.
type Lock struct {
	client   *clientv3.Client
	prefix   string // of the keys, without the last slash
	identity string
	lease    time.Duration
	now      func() time.Time
	log      *slog.Logger

	mu   sync.Mutex
	seen sight
}

var _ election.Elector = (*Lock)(nil)

// sight is who led when etcd was asked.
type sight struct {
	holder  string
	key     string
	created int64 // the revision of etcd that made the key
	asked   time.Time
}

// New returns a candidate. It does not talk to etcd yet; it fails only for an invalid configuration.
func New(c Config) (*Lock, error) {
	lease, name := cmp.Or(c.Lease, 5*time.Second), cmp.Or(c.Name, "authd")
	var errs []error
	if c.Client == nil {
		errs = append(errs, errors.New("client: required"))
	}
	if c.Identity == "" {
		errs = append(errs, errors.New("identity: required"))
	}
	if strings.Contains(name, "/") {
		errs = append(errs, fmt.Errorf("name %q: must be without a slash", name)) // elections would lie in each other
	}
	if lease < minLease || lease%time.Second != 0 {
		errs = append(errs, fmt.Errorf("lease %v: must be whole seconds, at least %v", lease, minLease))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("election: %w", err)
	}
	l := &Lock{
		client: c.Client, prefix: "authd/election/" + name, identity: c.Identity,
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

// Leader implements [election.Elector]. It asks etcd; when that does not answer, the last sight counts for as long as
// the lease, and after that the error wraps [ErrUnavailable].
func (l *Lock) Leader(ctx context.Context) (holder string, asOf time.Time, err error) {
	_, err = l.look(ctx)
	last := l.last()
	if err != nil && (last.asked.IsZero() || l.now().Sub(last.asked) >= l.lease) {
		return "", last.asked, fmt.Errorf("looking for the leader: %w", err)
	}
	return last.holder, last.asked, nil
}

// look asks a majority of etcd for the oldest key, and takes note of the answer.
func (l *Lock) look(ctx context.Context) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout())
	defer cancel()
	s := sight{asked: l.now()}
	resp, err := l.client.Get(ctx, l.prefix+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return sight{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if len(resp.Kvs) > 0 {
		first := resp.Kvs[0]
		s.holder, s.key, s.created = string(first.Value), string(first.Key), first.CreateRevision
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

// timeout bounds one round trip.
func (l *Lock) timeout() time.Duration { return l.lease / 5 }

// left is how long work may go on after the lease was granted or renewed: counted from before etcd was asked, and less
// what clocks may differ by in a lease and work may need to notice.
func (l *Lock) left(asked time.Time) time.Duration { return l.lease - l.lease/10 - l.now().Sub(asked) }

// pause waits for a fifth of the lease, or a little less, so that candidates do not ask in step.
func (l *Lock) pause(ctx context.Context) error {
	d := l.lease / 5
	return wait(ctx, d-rand.N(d/5))
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
