package leaselock

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// For every lease a leader has given up before another may begin, and client-go accepts the times.
func TestTimes(t *testing.T) {
	client, err := coordinationv1client.NewForConfig(&rest.Config{Host: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	for lease := minLease; lease <= time.Minute; lease += time.Second {
		l, err := New(Config{Client: client, Namespace: "authd", Identity: "a", Lease: lease})
		if err != nil {
			t.Fatal(err)
		}
		if believes := l.deadline() + l.retry() + l.margin(); believes >= lease {
			t.Errorf("lease %v: a leader may believe for %v", lease, believes)
		}
		if _, err := l.elector(l.newGuard(nil), nil); err != nil {
			t.Errorf("lease %v: %v", lease, err)
		}
	}
}

// When a holder was last known to lead is told by the own clock, as far as that has watched; the holder's may be wrong.
func TestSights(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	type look struct{ asked, renewed int } // by the own clock, and by the holder's; in seconds
	for name, tt := range map[string]struct {
		looks []look
		now   int
		asOf  int // -1 when nobody is known to lead
	}{
		"one look":                       {[]look{{100, 99}}, 101, 99},
		"a holder that is long dead":     {[]look{{100, 50}}, 101, -1},
		"the same once watched":          {[]look{{100, 50}, {102, 50}}, 103, -1},
		"one look at a fast clock":       {[]look{{100, 900}}, 101, 100},
		"a fast clock that stands still": {[]look{{100, 900}, {104, 900}}, 106, -1},
		"a slow clock that goes on":      {[]look{{100, 50}, {102, 52}}, 103, 100},
		"a renewal between two looks":    {[]look{{100, 99}, {103, 102}}, 104, 102},
		"an answer that was overtaken":   {[]look{{100, 99}, {98, 97}}, 101, 99},
		"a lease that has run out":       {[]look{{100, 99}}, 104, -1},
	} {
		var s sights
		for _, look := range tt.looks {
			s.see(resourcelock.LeaderElectionRecord{
				HolderIdentity: "a", LeaseDurationSeconds: 5, RenewTime: metav1.NewTime(at(look.renewed)),
			}, at(look.asked))
		}
		holder, asOf := s.leader(at(tt.now))
		if tt.asOf < 0 && holder != "" {
			t.Errorf("%s: %q leads as of %v, want nobody", name, holder, asOf.Sub(start))
		}
		if tt.asOf >= 0 && (holder != "a" || !asOf.Equal(at(tt.asOf))) {
			t.Errorf("%s: %q leads as of %v, want a as of %ds", name, holder, asOf.Sub(start), tt.asOf)
		}
	}
	if holder, _ := new(sights).leader(start); holder != "" {
		t.Errorf("%q leads and was never seen", holder)
	}
}
