package secretstore_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/secretstore"
)

// A server that hangs is noticed in bounded time, by every method and by a watch. Once it goes on all is well again.
func TestFrozenServer(t *testing.T) {
	p := newPlace(t)
	s := p.store(t, secretstore.Config{Timeout: 500 * time.Millisecond, Poll: 100 * time.Millisecond})
	patient := p.store(t, secretstore.Config{})
	claim(t, patient)
	versions, err := patient.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hasty := watched(t, s)
	p.server.Freeze(t)
	allUnavailable(t, "frozen", s)
	awaitEnd(t, hasty)
	p.server.Thaw(t)

	claim(t, patient) // after those of before, whose outcome is unknown
	_, version := load(t, patient)
	awaitAgain(t, s, version)
	await(t, versions, version) // a watch that did not notice anything goes on
}

// watched watches as soon as that works.
func watched(t *testing.T, s keys.Store) <-chan keys.Version {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		versions, err := s.Watch(t.Context())
		if err == nil {
			return versions
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// awaitAgain watches, and again when the watch ends, as it may on a busy machine when the store is impatient, until the
// wanted version comes.
func awaitAgain(t *testing.T, s keys.Store, want keys.Version) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for v := range watched(t, s) {
			if v == want {
				return
			}
		}
	}
	t.Fatalf("version %q was not announced within %v", want, patience)
}

// A connection on which nothing arrives any more is noticed, though it stays open.
func TestHalfOpenConnection(t *testing.T) {
	p := newPlace(t)
	proxy := testenv.NewProxy(t, p.server.Addr)
	s := p.store(t, secretstore.Config{Timeout: time.Second, Poll: 200 * time.Millisecond},
		func(c *rest.Config) { c.Host = "https://" + proxy.Addr })
	versions := watched(t, s)
	proxy.Swallow()
	awaitEnd(t, versions)
	proxy.Pass()
	other := p.store(t, secretstore.Config{})
	claim(t, other)
	_, version := load(t, other)
	awaitAgain(t, s, version)
}

// A stream that ends, as each does from time to time, is begun again, and what changed meanwhile is announced.
func TestStreamEnds(t *testing.T) {
	p := newPlace(t)
	proxy := testenv.NewProxy(t, p.server.Addr)
	s := p.store(t, secretstore.Config{}, func(c *rest.Config) { c.Host = "https://" + proxy.Addr })
	other := p.store(t, secretstore.Config{})
	versions := watched(t, s)
	for range 3 {
		claim(t, other)
		_, version := load(t, other)
		await(t, versions, version)
		proxy.Cut()
	}
}

// A stream that says nothing, while reads go well, is found out by reading.
func TestMuteStream(t *testing.T) {
	p := newPlace(t)
	var streams atomic.Int32
	s := p.store(t, secretstore.Config{Poll: 100 * time.Millisecond},
		tampered(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil && req.URL.Query().Get("watch") != "" && streams.Add(1) == 1 {
				resp.Body = muteBody{resp.Body}
			}
			return resp, err
		}))
	versions := watched(t, s)
	claim(t, s)
	_, version := load(t, s)
	await(t, versions, version)
	for deadline := time.Now().Add(patience); streams.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the stream was not begun again")
		}
	}
}

// muteBody reads what comes and says nothing of it.
type muteBody struct{ io.ReadCloser }

func (b muteBody) Read([]byte) (int, error) {
	_, err := io.Copy(io.Discard, b.ReadCloser)
	if err == nil {
		err = io.EOF
	}
	return 0, err
}

// A watch ends when the ring is lost, so that whoever follows it loads the ring and puts it back.
func TestLossEndsWatch(t *testing.T) {
	p := newPlace(t)
	s := p.store(t, secretstore.Config{})
	claim(t, s)
	versions := watched(t, s)
	_, version := load(t, s)
	await(t, versions, version)
	if err := p.admin(t).Delete(t.Context(), "authd-keys", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, versions)
}

// As long as a watch reads that the ring has not changed, the sight of it does not age.
func TestWatchKeepsSightFresh(t *testing.T) {
	p := newPlace(t)
	var minutes, reads atomic.Int64
	s := p.store(t, secretstore.Config{
		Poll: 10 * time.Millisecond, ViewAge: time.Minute,
		Now: func() time.Time { return time.Unix(1_700_000_000+60*minutes.Load(), 0) },
	}, tampered(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		reads.Add(1)
		return next.RoundTrip(req)
	}))
	claim(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	versions, err := s.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	minutes.Add(1)
	for since := reads.Load(); reads.Load() < since+3; { // one may have read the clock before, and one is under way
		time.Sleep(time.Millisecond)
	}
	cancel()
	awaitEnd(t, versions)
	minutes.Add(1)
	if err := p.admin(t).Delete(t.Context(), "authd-keys", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.server.Apply(t, p.namespace)
	if ring, _ := load(t, s); ring.Term != 1 {
		t.Errorf("got %v, want the ring of term 1 back", ring)
	}
}
