package etcdlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// renewals renews a lease, again and again in one stream: for each new one a client with a password logs in again.
// KeepAliveOnce of the client opens one each time, and repeats without a pause while no member can be reached.
type renewals struct {
	client pb.LeaseClient
	id     clientv3.LeaseID

	stream pb.Lease_LeaseKeepAliveClient // nil when one must be opened first
	cancel context.CancelFunc            // ends the stream
}

// renew renews the lease once, and tells whether etcd knows it.
func (r *renewals) renew(ctx context.Context, timeout time.Duration) (known bool, err error) {
	if r.stream == nil {
		ctx, r.cancel = context.WithCancel(ctx)
	}
	timer := time.AfterFunc(timeout, r.cancel)
	resp, err := r.exchange(ctx)
	if inTime := timer.Stop(); !inTime || err != nil {
		r.close()
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return resp.TTL > 0, nil
}

func (r *renewals) exchange(ctx context.Context) (resp *pb.LeaseKeepAliveResponse, err error) {
	if r.stream == nil {
		if r.stream, err = r.client.LeaseKeepAlive(ctx); err != nil {
			return nil, err
		}
	}
	err = r.stream.Send(&pb.LeaseKeepAliveRequest{ID: int64(r.id)})
	if err != nil && !errors.Is(err, io.EOF) { // for which Recv has the reason
		return nil, err
	}
	return r.stream.Recv()
}

func (r *renewals) close() {
	if r.cancel != nil {
		r.cancel()
	}
	r.stream = nil
}
