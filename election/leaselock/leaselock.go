package leaselock

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/authd-project/authd/election"
)

// ErrUnavailable means that the API server could not be reached, did not answer in time, or refused.
var ErrUnavailable = errors.New("election unavailable")

// minLease leaves time for a slow answer between two renewals.
const minLease = 3 * time.Second

// Config configures a [Lock].
type Config struct {
	// Client is required. It stays the caller's.
	Client coordinationv1client.LeasesGetter
	// Namespace and Name say which Lease; the namespace is required, the name's default is "authd-leader".
	Namespace, Name string
	// Identity is the name that Leader answers for this process, say its pod's; required. It need not be unique.
	Identity string
	// Lease is how long a leader that is not heard of keeps others out, in whole seconds; default 5 s, at least 3 s. It
	// is renewed five times in that time. All candidates should have the same.
	Lease  time.Duration
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: none
}

// Lock is a candidate of one election. Methods may be called concurrently; Lead once at a time.
type Lock struct {
	lease     time.Duration
	candidate string
	newLock   func() resourcelock.Interface // a lock remembers what it has read, and is for one goroutine
	seen      sights
	now       func() time.Time
	log       *slog.Logger
}

var _ election.Elector = (*Lock)(nil)

// New returns a candidate. It does not talk to the API server yet; it fails only for an invalid configuration.
func New(c Config) (*Lock, error) {
	name, lease := cmp.Or(c.Name, "authd-leader"), cmp.Or(c.Lease, 5*time.Second)
	var errs []error
	if c.Client == nil {
		errs = append(errs, errors.New("client: required"))
	}
	if c.Namespace == "" {
		errs = append(errs, errors.New("namespace: required"))
	}
	if c.Identity == "" {
		errs = append(errs, errors.New("identity: required"))
	}
	if lease < minLease || lease%time.Second != 0 {
		errs = append(errs, fmt.Errorf("lease %v: must be whole seconds, which is all that a Lease can hold, and at least %v", lease, minLease))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("election: %w", err)
	}
	l := &Lock{lease: lease, candidate: c.Identity + "_" + rand.Text(), now: c.Now, log: c.Logger}
	l.newLock = func() resourcelock.Interface {
		return &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: name}, Client: c.Client,
			LockConfig: resourcelock.ResourceLockConfig{Identity: l.candidate},
		}
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.log = l.log.With("election", c.Namespace+"/"+name, "identity", c.Identity)
	return l, nil
}

// The three times of client-go's leaderelection. The deadline begins one retry after the last success, so that a leader
// may believe for both together, and the margin is what clocks may differ by in a lease and work may need to notice:
// lease > deadline + retry + margin.
func (l *Lock) retry() time.Duration    { return l.lease / 5 }
func (l *Lock) deadline() time.Duration { return l.lease / 2 }
func (l *Lock) margin() time.Duration   { return l.lease / 5 }

// Leader implements [election.Elector]. A candidate answers from what it saw last, which is moments ago; whoever has not
// looked for half a lease looks first. When that fails, the last sight counts for as long as the lease, and after that
// the error wraps [ErrUnavailable].
func (l *Lock) Leader(ctx context.Context) (holder string, asOf time.Time, err error) {
	if now := l.now(); now.Sub(l.seen.lookedAt()) >= l.lease/2 {
		_, _, err = l.newGuard(nil).Get(ctx)
	}
	candidate, asOf := l.seen.leader(l.now())
	if err != nil && candidate == "" {
		return "", asOf, fmt.Errorf("looking for the leader: %w: %w", ErrUnavailable, err)
	}
	if i := strings.LastIndexByte(candidate, '_'); i >= 0 {
		candidate = candidate[:i]
	}
	return candidate, asOf, nil
}
