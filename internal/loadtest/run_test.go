package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const secretPassword = "a password that nobody prints"

// faulty speaks authd's interface with faults that the real one cannot be made to have: the tests of cmd/authd run the
// load against that.
type faulty struct {
	*httptest.Server
	stall   atomic.Int64 // nanoseconds that the next request to forward-auth takes
	status  atomic.Int64 // that forward-auth answers, if not by what it knows
	slow    atomic.Int64 // nanoseconds that each takes
	cut     atomic.Int64 // so many connections are cut before an answer
	deaf    atomic.Bool  // logouts change nothing
	begun   atomic.Int64
	ended   atomic.Int64
	retries atomic.Int64 // 429 to so many logins first
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	f := &faulty{}
	gone := map[string]bool{}
	lock := make(chan struct{}, 1)
	locked := func(do func()) { lock <- struct{}{}; do(); <-lock }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q}`, f.URL)
	})
	mux.HandleFunc("POST /v1/login", func(w http.ResponseWriter, _ *http.Request) {
		if f.retries.Add(-1) >= 0 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		n := f.begun.Add(1)
		fmt.Fprintf(w, `{"access_token":"access-%d","refresh_token":"refresh-%d","session_id":"s%d","expires_in":600}`, n, n, n)
	})
	mux.HandleFunc("POST /v1/logout", func(w http.ResponseWriter, r *http.Request) {
		f.ended.Add(1)
		if !f.deaf.Load() {
			locked(func() { gone[r.Header.Get("Authorization")] = true })
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /v1/refresh", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	mux.HandleFunc("GET /v1/verify", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Duration(f.stall.Swap(0) + f.slow.Load()))
		if f.cut.Add(-1) >= 0 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				conn.Close()
			}
			return
		}
		status := int(f.status.Load())
		if status == 0 {
			status = http.StatusOK
			locked(func() {
				if gone[r.Header.Get("Authorization")] {
					status = http.StatusUnauthorized
				}
			})
		}
		w.WriteHeader(status)
		fmt.Fprint(w, `{"code":"some_code","detail":"`+r.Header.Get("Authorization")+`"}`)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *faulty) open(t *testing.T, change func(*Config)) *Target {
	t.Helper()
	c := Config{
		URLs: []string{f.URL}, Accounts: []Account{{"alice", secretPassword}}, Connections: 1, MaxStaleness: 200 * time.Millisecond,
	}
	if change != nil {
		change(&c)
	}
	target, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := target.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if began, ended := f.begun.Load(), f.ended.Load(); began != ended {
			t.Errorf("%d sessions were begun and %d ended", began, ended)
		}
	})
	return target
}

func load(t *testing.T, mix string, d time.Duration) Load {
	t.Helper()
	m, err := ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	return Load{Rate: 100, Mix: m, Duration: d, Arrivals: Even, Sessions: 3}
}

func run(t *testing.T, target *Target, l Load) *Report {
	t.Helper()
	r, err := target.Run(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	if err := errors.Join(r.WriteJSON(&all), r.WriteTable(&all)); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{secretPassword, "access-", "refresh-"} {
		if strings.Contains(all.String()+r.Plot(), secret) {
			t.Errorf("the report tells a secret: %s", secret)
		}
	}
	return r
}

func operation(t *testing.T, r *Report, name string) Operation {
	t.Helper()
	for _, o := range r.Operations {
		if o.Name == name {
			return o
		}
	}
	t.Fatalf("no %s in %+v", name, r.Operations)
	return Operation{}
}

// A server that stalls once, for as long as half of the requests are due in, is late for all of these, although only one
// of them was under way. No coordinated omission.
func TestStallCountsForAllThatWereDue(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	const stall = time.Second
	f.stall.Store(int64(stall))
	r := run(t, target, load(t, "forward-auth=1", 2*stall))
	o := operation(t, r, "forward-auth")
	if o.Latency.Mean < 150 { // ms: half of them waited for half of a second on average
		t.Errorf("half of the requests had to wait, but the mean latency is %v ms", o.Latency.Mean)
	}
	if o.Latency.Max < 900 || o.Requests != 199 || r.Waited < 0.3 {
		t.Errorf("latency up to %v ms of %d requests, of which %v waited", o.Latency.Max, o.Requests, r.Waited)
	}
	if o.Took.Mean > o.Latency.Mean/2 {
		t.Errorf("a request took %v ms from when it was sent, but %v from when it was due", o.Took.Mean, o.Latency.Mean)
	}
}

// What fails is a failure with its reason; what a busy server answers is not.
func TestFailuresAreTold(t *testing.T) {
	for status, failed := range map[int]bool{500: true, 404: true, 429: false, 503: false} {
		f := newFaulty(t)
		target := f.open(t, nil)
		f.status.Store(int64(status))
		r := run(t, target, load(t, "forward-auth=1", 200*time.Millisecond))
		o := operation(t, r, "forward-auth")
		if (o.Failed == o.Requests) != failed || (o.Busy == o.Requests) == failed || (r.Failed() > 0) != failed {
			t.Errorf("%d: %+v", status, o)
		}
		if want := fmt.Sprintf("forward-auth: status %d some_code", status); failed != (r.Failures[want] > 0) {
			t.Errorf("%d: %v", status, r.Failures)
		}
	}
}

// A session that was refused is not used again: each fails once, and then there is none. It is logged out in the end.
func TestRefusedSessions(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	f.status.Store(http.StatusUnauthorized)
	l := load(t, "forward-auth=1", 200*time.Millisecond)
	r := run(t, target, l)
	if o := operation(t, r, "forward-auth"); o.Failed != int64(l.Sessions) || o.Outcomes[string(noSession)] != o.Requests-o.Failed {
		t.Errorf("%+v", o)
	}
}

// A logout that a verifier does not hear of within the bound is a failure.
func TestLogoutThatDoesNotHold(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	l := load(t, "login=1,logout=1", 300*time.Millisecond)
	r := run(t, target, l)
	if r.Failed() != 0 || len(r.Refusals) != 1 || r.Refusals[0].Late.Count != operation(t, r, "logout").Requests {
		t.Fatalf("%d failed: %v, %+v", r.Failed(), r.Failures, r.Refusals)
	}
	f.deaf.Store(true)
	r = run(t, target, l)
	if r.Failed() == 0 || r.Refusals[0].Accepted == 0 || r.Failures["logout: forward-auth accepts a token after its logout"] == 0 {
		t.Errorf("%d failed: %v, %+v", r.Failed(), r.Failures, r.Refusals)
	}
}

// A connection that the server closes before it answers is replaced, and the request is sent again once.
func TestCutConnections(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	f.cut.Store(1)
	r := run(t, target, load(t, "forward-auth=1", 300*time.Millisecond))
	if r.Failed() != 0 || r.Repeated != 1 {
		t.Errorf("%v, %d repeated", r.Failures, r.Repeated)
	}
	f.cut.Store(1000)
	r = run(t, target, load(t, "forward-auth=1", 100*time.Millisecond))
	f.cut.Store(0)
	if r.Failures["forward-auth: the connection broke"] == 0 {
		t.Errorf("%v", r.Failures)
	}
}

// Logins beforehand wait for a server that is busy.
func TestLoginsBeforehandWait(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	f.retries.Store(2)
	if r := run(t, target, load(t, "forward-auth=1", 50*time.Millisecond)); r.Failed() != 0 {
		t.Errorf("%v", r.Failures)
	}
}

// An end of the context ends the run, which tells what it has; nothing that waits for its time is a failure.
func TestInterrupt(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	l := load(t, "forward-auth=1", time.Hour)
	l.Progress = func(p Progress) {
		if p.Requests > 0 {
			stop()
		}
	}
	r, err := target.Run(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Failed() != 0 || operation(t, r, "forward-auth").Requests == 0 || r.Seconds > 60 {
		t.Errorf("%+v", r)
	}
}

// A server that is slower than the rate is found out: the search ends below, and says what it tried.
func TestKnee(t *testing.T) {
	f := newFaulty(t)
	target := f.open(t, nil)
	f.slow.Store(int64(20 * time.Millisecond)) // so that one connection bears less than 50 a second
	search, err := NewSearch(5, 4, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	r, err := target.Knee(t.Context(), load(t, "forward-auth=1", time.Second), search,
		Bounds{P99: 300 * time.Millisecond, LoginP99: time.Second, Errors: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if k := search.Knee(); k >= 80 || r.Failed() != 0 || len(r.Steps) < 2 || k > 0 && r.Settings.Rate != k {
		t.Errorf("knee %v, %d failed, steps %+v", k, r.Failed(), r.Steps)
	}
}

func TestWhatIsRefusedBeforeAnythingIsSent(t *testing.T) {
	f := newFaulty(t)
	alice := []Account{{"alice", secretPassword}}
	for want, c := range map[string]Config{
		"no URL":               {Accounts: alice},
		"no accounts":          {URLs: []string{f.URL}},
		"want http://":         {URLs: []string{"ftp://127.0.0.1"}, Accounts: alice},
		"without user":         {URLs: []string{"http://u:geheim@127.0.0.1"}, Accounts: alice},
		"not on this machine":  {URLs: []string{"http://auth.example.com"}, Accounts: alice},
		"10.0.0.1 is not on":   {URLs: []string{f.URL}, Services: []string{"http://10.0.0.1/"}, Accounts: alice},
		"connections: want":    {URLs: []string{f.URL}, Accounts: alice, Connections: -1},
		"guards: want":         {URLs: []string{f.URL}, Accounts: alice, Guards: 100_000},
		"patience must be":     {URLs: []string{f.URL}, Accounts: alice, Patience: -1},
		"asking 127.0.0.1:1 f": {URLs: []string{"http://127.0.0.1:1"}, Accounts: alice},
	} {
		_, err := Open(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	target := f.open(t, nil)
	for want, l := range map[string]Load{
		"no guards": load(t, "verify=1", time.Second), "no URL of a service": load(t, "service=1", time.Second),
		"no client that": load(t, "introspect=1", time.Second), "duration": load(t, "login=1", 0), "no mix": {Duration: 1},
		"would begin": {Rate: 1e6, Mix: load(t, "login=1", 0).Mix, Duration: time.Hour},
	} {
		if _, err := target.Run(t.Context(), l); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if f.begun.Load() != 0 {
		t.Error("somebody logged in")
	}
}

// An issuer elsewhere is not loaded by way of a server here.
func TestIssuerElsewhere(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": "https://auth.example.com"})
	}))
	defer s.Close()
	_, err := Open(t.Context(), Config{URLs: []string{s.URL}, Accounts: []Account{{"a", "b"}}})
	if !errors.Is(err, ErrRemote) {
		t.Errorf("%v", err)
	}
}
