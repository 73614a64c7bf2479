package etcdlock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// session is one candidacy: a lease, and the key that lives as long.
type session struct {
	lock     *Lock
	lease    *concurrency.Session
	election *concurrency.Election
	key      string

	// alive ends before the lease can have expired.
	alive  context.Context
	end    context.CancelCauseFunc
	expiry *time.Timer // a timer of its own, so that no call that hangs can be in the way
	// standing is how long the candidate waits to be elected. It ends with alive, and when Lead shall.
	standing context.Context
	stand    context.CancelCauseFunc // ends standing
	unhook   func() bool             // standing, from what Lead was given
}

// open takes a lease. Any member of etcd that has lost sight of the others must say so at once, instead of answering late.
func (l *Lock) open(ctx context.Context) (*session, error) {
	s := &session{lock: l}
	s.alive, s.end = context.WithCancelCause(clientv3.WithRequireLeader(context.WithoutCancel(ctx)))
	s.expiry = time.AfterFunc(l.left(l.now()), func() { s.end(fmt.Errorf("%w: not renewed in time", errLost)) })
	s.standing, s.stand = context.WithCancelCause(s.alive)
	s.unhook = context.AfterFunc(ctx, func() { s.stand(ctx.Err()) })

	// Campaign, when it is told to end, deletes its key in the context of its client, for as long as that takes. Here it
	// fails at once instead, and close does it, with a timeout.
	client := clientv3.NewCtxClient(s.standing)
	client.KV, client.Watcher = l.client.KV, l.client.Watcher
	client.Lease = &keeper{Lease: l.client.Lease, session: s}
	lease, err := concurrency.NewSession(client,
		concurrency.WithTTL(int(l.lease/time.Second)), concurrency.WithContext(s.alive))
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("%w: taking a lease: %w", ErrUnavailable, err)
	}
	s.lease, s.election = lease, concurrency.NewElection(lease, l.prefix)
	s.key = fmt.Sprintf("%s/%x", l.prefix, lease.Lease()) // as Campaign names it
	return s, nil
}

// close gives the lease up, and the key with it, so that others can have the leadership at once. When it fails the lease
// expires by itself.
func (s *session) close() {
	asked := s.lock.now()
	err := s.lease.Close()
	s.abandon()
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		s.lock.log.Warn("lease not given up, it expires", "err", err)
		return
	}
	if s.lock.last().key == s.key {
		s.lock.see(sight{asked: asked})
	}
}

func (s *session) abandon() {
	s.unhook()
	s.expiry.Stop()
	s.end(nil) // and with it standing
}

// extend lets the session live on from a grant or renewal of its lease that was asked for at that time.
func (s *session) extend(asked time.Time) { s.expiry.Reset(s.lock.left(asked)) }
