package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware"
	"github.com/authd-project/authd/token"
)

// timetable is how long a key is published by the timetable: far longer than until every verifier can have reported that
// it holds the key, which takes about 20 s here.
const timetable = time.Minute

// service is a service that verifies tokens, behind a balancer: each of its requests goes to another authd.
type service struct {
	*middleware.Guard
	targets []string // HOST:PORT
	next    atomic.Int64
	cut     atomic.Bool // the JWKS is out of its reach
	base    *http.Transport

	mu    sync.Mutex
	addrs []string // of its connections
}

func startService(t *testing.T, r *replicas) *service {
	t.Helper()
	s := &service{}
	for _, a := range r.servers {
		s.targets = append(s.targets, strings.TrimPrefix(a.URL, "http://"))
	}
	s.base = &http.Transport{DialContext: s.dial, DisableKeepAlives: true}
	var err error
	s.Guard, err = middleware.New(t.Context(), "http://127.0.0.1:1", middleware.Options{
		Audience: "authd", Client: &http.Client{Transport: s}, StartTimeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *service) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.addrs = append(s.addrs, conn.LocalAddr().String())
	}
	return conn, err
}

// RoundTrip implements http.RoundTripper.
func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.cut.Load() && strings.HasSuffix(r.URL.Path, "/jwks.json") {
		return nil, errors.New("the JWKS is out of reach")
	}
	r = r.Clone(r.Context())
	r.URL.Host = s.targets[s.next.Add(1)%int64(len(s.targets))]
	return s.base.RoundTrip(r)
}

func (s *service) had(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.addrs, addr)
}

// rotate rotates as soon as the leader is willing to, while the services accept every token. It returns who led, and a time
// just before the next standby was made.
func (r *replicas) rotate(services ...*service) (leader *server, asked time.Time) {
	r.t.Helper()
	g := r.servers[0].login(r.t, "alice", alicesPassword)
	for deadline := time.Now().Add(timetable + patience); ; {
		leader, _ = r.awaitLeader(0)
		asked = time.Now()
		out, err := command(r.t.Context(), "", "keys", "rotate", "--data", leader.Data,
			"--admin-listen", strings.TrimPrefix(leader.Admin, "http://"))
		var status int
		if g, status = r.servers[1].refresh(r.t, g.RefreshToken); status != http.StatusOK {
			r.t.Fatalf("refresh: %d", status)
		}
		for i, s := range services {
			if _, err := s.Verify(r.t.Context(), g.AccessToken); err != nil && !errors.Is(err, token.ErrUnavailable) {
				r.t.Fatalf("service %d refuses a good token: %v", i, err)
			}
		}
		switch {
		case err == nil:
			return leader, asked
		case !strings.Contains(out, "published") || time.Now().After(deadline):
			r.t.Fatalf("keys rotate: %v\n%s", err, out)
		}
		wait(r.t, 200*time.Millisecond)
	}
}

// Where every verifier reports, a key signs as soon as all of them hold it, whichever authd they told. One that cannot
// fetch the key is waited for as the timetable says, and named.
func TestKeySignsWhenEveryVerifierHoldsIt(t *testing.T) {
	t.Parallel()
	began := time.Now()
	r := startReplicas(t, 3, "--redis", "redis://"+testenv.Redis(t), "--rotate-every=10m", "--publish-ahead="+timetable.String(),
		"--publish-ahead-least=15s", "--jwks-max-age=2s", "--jwks-overstay=1s", "--view-age=3s", "--skew=1s",
		"--refresh-replays=1000")
	well, other := startService(t, r), startService(t, r)

	_, prepared := r.rotate(well, other)
	took := time.Since(began)
	t.Logf("all hold the key: it signs after %v, instead of %v", took.Round(time.Second/10), timetable)
	if took >= timetable {
		t.Errorf("it was published for %v, though all hold it", took)
	}

	other.cut.Store(true)
	leader, _ := r.rotate(well, other)
	if took := time.Since(prepared); took < timetable {
		t.Errorf("a key signs after %v, though a verifier does not hold it", took)
	}
	var missing struct {
		Msg       string
		Missing   int
		Verifiers int
		From      []string
	}
	for line := range strings.Lines(leader.out.String()) {
		if strings.Contains(line, "have not reported that they hold it") {
			if err := json.Unmarshal([]byte(line), &missing); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
		}
	}
	if missing.Missing != 1 || missing.Verifiers != 2 || len(missing.From) != 1 || !other.had(missing.From[0]) || well.had(missing.From[0]) {
		t.Errorf("the log says %+v", missing)
	}
}
