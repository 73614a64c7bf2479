package etcdlock_test

import (
	"testing"
	"time"

	"github.com/authd-project/authd/election/electiontest"
	"github.com/authd-project/authd/internal/testenv"
)

// pair is two candidates in a cluster.
type pair struct {
	*electiontest.Court
	cluster *testenv.EtcdSet
	a, b    *electiontest.Candidate
}

func newPair(t *testing.T) *pair {
	t.Helper()
	cluster := testenv.EtcdCluster(t)
	p := &pair{Court: &electiontest.Court{T: t}, cluster: cluster}
	p.a = p.Campaign(newLock(t, connect(t, cluster.Addrs()...), "a"))
	p.b = p.Campaign(newLock(t, connect(t, cluster.Addrs()...), "b"))
	return p
}

// awaitLeaderNow waits until both candidates agree on one of them; court sees to it that no two work at once.
func (p *pair) awaitLeaderNow() {
	p.Helper()
	for deadline := time.Now().Add(electiontest.Patience); ; time.Sleep(10 * time.Millisecond) {
		one, seen, err1 := p.a.Leader(p.Context())
		two, _, err2 := p.b.Leader(p.Context())
		if err1 == nil && err2 == nil && one == two && one != "" && p.Working() == 1 && time.Since(seen) < lease {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("they see %q (%v) and %q (%v), %d work", one, err1, two, err2, p.Working())
		}
	}
}

// Losing one member, the leader of etcd or another, costs at most a leadership.
func TestMemberKilled(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	for range 2 {
		p.awaitLeaderNow()
		member := p.cluster.Leader(t)
		member.Kill()
		p.awaitLeaderNow()
		member.Restart()
	}
}

// Nor does a member that hangs, on which calls and watches may lie.
func TestMemberFrozen(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.awaitLeaderNow()
	for _, member := range p.cluster.Members {
		member.Freeze()
		time.Sleep(lease) // as long as it takes to hurt
		p.awaitLeaderNow()
		member.Thaw()
	}
	p.awaitLeaderNow()
}

// Without a majority nobody leads, and once there is one somebody does.
func TestMajorityLost(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.awaitLeaderNow()
	lost := p.cluster.Members[:2]
	for _, m := range lost {
		m.Freeze()
	}
	for deadline := time.Now().Add(electiontest.Patience); p.Working() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("somebody works without a majority")
		}
	}
	for _, m := range lost {
		m.Thaw()
	}
	p.awaitLeaderNow()
}
