package etcdstore

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/authd-project/authd/keys"
)

// checkEvery is how often a watch makes sure, by asking, that it has not gone deaf.
const checkEvery = time.Second

// Watch implements [keys.Cell]. etcd announces changes at once. But a watch at a member that hangs waits for as long as
// that takes, and one that goes on at an etcd that has begun anew waits for revisions that are far away; so etcd is
// asked, too. The channel closes when etcd does not answer or has lost the ring: whoever watches should load, which puts
// it back.
func (c *cell) Watch(ctx context.Context) (<-chan keys.Version, error) {
	s, err := c.current(ctx)
	if err != nil {
		return nil, unavailable(err)
	}
	versions := make(chan keys.Version, 1) // the latest that was not received yet
	go c.watch(ctx, s, versions)
	return versions, nil
}

// watch delivers versions, beginning with that of s, until ctx ends or changes can no longer be seen.
func (c *cell) watch(ctx context.Context, s sight, versions chan keys.Version) {
	defer close(versions)
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	news := make(chan sight)
	var sources sync.WaitGroup
	sources.Go(func() { defer cancel(); c.listen(ctx, s.asOf+1, news) })
	sources.Go(func() { defer cancel(); c.check(ctx, news) })
	defer sources.Wait()
	defer cancel()
	for delivered := keys.Version(""); ; {
		if s.version != delivered {
			select {
			case <-versions: // replaced: nobody has come for it yet
			default:
			}
			versions <- s.version
			delivered = s.version
		}
		select {
		case <-ctx.Done():
			return
		case next := <-news:
			if next.writes >= s.writes { // otherwise the other source was faster
				s = next
			}
		}
	}
}

// listen passes on the rings that etcd announces from a revision on. It returns when ctx ends, the ring is deleted, or
// etcd ends its watch: because the revision is compacted already, or the member has lost sight of the others.
func (c *cell) listen(ctx context.Context, from int64, news chan<- sight) {
	for resp := range c.client.Watch(ctx, c.key, clientv3.WithRev(from)) {
		for _, event := range resp.Events {
			s, err := decode(event.Kv) // of a deletion without a value
			if err != nil || !send(ctx, news, s) {
				return
			}
		}
	}
}

// check passes on the ring as etcd has it, again and again. It returns when ctx ends, etcd does not answer, or the ring
// is lost.
func (c *cell) check(ctx context.Context, news chan<- sight) {
	ticker := time.NewTicker(checkEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		last := c.last()
		s, err := c.look(ctx)
		if err != nil || s.writes < last.writes || !send(ctx, news, s) {
			return
		}
	}
}

func send(ctx context.Context, news chan<- sight, s sight) bool {
	select {
	case <-ctx.Done():
		return false
	case news <- s:
		return true
	}
}
