package etcdlock

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// keeper is what a session of package concurrency keeps its lease with. The client's own counts a lease from the answer
// to its renewal, which may come late; this one counts from the question. None of its calls lasts longer than a timeout.
type keeper struct {
	clientv3.Lease // the client's
	session        *session
}

// Grant implements [clientv3.Lease].
func (k *keeper) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, k.session.lock.timeout())
	defer cancel()
	asked := k.session.lock.now()
	resp, err := k.Lease.Grant(ctx, ttl)
	if err == nil {
		k.session.extend(asked)
	}
	return resp, err
}

// Revoke implements [clientv3.Lease]. It does so also when the session has ended.
func (k *keeper) Revoke(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), k.session.lock.timeout())
	defer cancel()
	return k.Lease.Revoke(ctx, id)
}

// KeepAlive implements [clientv3.Lease]. Nobody needs the answers; the channel closes when the lease is not kept any more.
func (k *keeper) KeepAlive(ctx context.Context, id clientv3.LeaseID) (<-chan *clientv3.LeaseKeepAliveResponse, error) {
	answers := make(chan *clientv3.LeaseKeepAliveResponse)
	go func() { // the session waits for its end, see concurrency.Session.Orphan
		defer close(answers)
		k.keep(ctx, id)
	}()
	return answers, nil
}

// keep renews the lease until ctx ends or etcd does not know the lease.
func (k *keeper) keep(ctx context.Context, id clientv3.LeaseID) {
	lock := k.session.lock
	r := &renewals{client: clientv3.RetryLeaseClient(lock.client), id: id}
	defer r.close()
	for ended := lock.pause(ctx); ended == nil; {
		asked := lock.now()
		known, err := r.renew(ctx, lock.timeout())
		switch {
		case err == nil && known:
			k.session.extend(asked)
			ended = lock.pause(ctx)
		case err == nil:
			k.session.end(fmt.Errorf("%w: etcd does not know the lease", errLost)) // expired, or taken away
			return
		case ctx.Err() != nil:
			return
		default:
			lock.log.WarnContext(ctx, "lease not renewed, trying again", "err", err)
			ended = wait(ctx, lock.timeout()/4) // soon, as another member of etcd may answer
		}
	}
}
