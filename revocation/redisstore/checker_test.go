package redisstore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// The checker decides like a mirror, on every axis and every mix of them.
func TestCheckerAgreesWithMirror(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	checker := newChecker(t, client)
	eventually(t, "mirror that accepts", func() bool { return a.mirror.Check(t.Context(), live) == nil })

	const ids, issued = 6, 1_700_000_000
	id := func(k revocation.Kind, n int) revocation.ID { return revocation.IDOf(k, strconv.Itoa(n)) }
	expires := time.Now().Add(time.Hour).Unix()
	for k := revocation.Token; k <= revocation.Key; k++ {
		e := revocation.Entry{Kind: k, ID: id(k, 0), Expires: expires}
		if k == revocation.Subject || k == revocation.Client {
			e.NotBefore = issued
		}
		add(t, a, e)
	}
	check := func() (hits int) {
		var all sync.WaitGroup
		var mu sync.Mutex
		for range 500 {
			n := func() int { return rand.IntN(ids) }
			claims := revocation.Claims{
				Token: id(revocation.Token, n()), Session: id(revocation.Session, n()), Subject: id(revocation.Subject, n()),
				Client: id(revocation.Client, n()), Key: id(revocation.Key, n()), IssuedAt: issued + int64(n()) - 3,
			}
			all.Go(func() {
				got, want := checker.Check(t.Context(), claims), a.mirror.Check(t.Context(), claims)
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(want, revocation.ErrRevoked) {
					hits++
				}
				if errors.Is(got, revocation.ErrRevoked) != errors.Is(want, revocation.ErrRevoked) || (got == nil) != (want == nil) {
					t.Errorf("%+v: the checker says %v, the mirror %v", claims, got, want)
				}
			})
		}
		all.Wait()
		return hits
	}
	before := roundTrips(t, client)
	hits := check()
	if hits == 0 || hits == 500 {
		t.Errorf("%d of 500 are denied: the test shows nothing", hits)
	}
	if n := roundTrips(t, client) - before; n > 400 { // followers make some too
		t.Errorf("500 concurrent checks took %d round trips", n)
	}
	add(t, a, revocation.Entry{Kind: revocation.Everything, NotBefore: issued, Expires: expires})
	if more := check(); more <= hits {
		t.Errorf("%d are denied with a cut-off for everything, %d without", more, hits)
	}
}

var calls = regexp.MustCompile(`cmdstat_evalsha_ro:calls=(\d+)`)

// roundTrips returns how many read-only scripts the server has run.
func roundTrips(t *testing.T, client *redis.Client) int {
	t.Helper()
	m := calls.FindStringSubmatch(client.Info(t.Context(), "commandstats").Val())
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCheckerHonoursContext(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	checker := newChecker(t, client)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := checker.Check(ctx, live); !errors.Is(err, revocation.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("Check returned %v", err)
	}
	if err := checker.Check(t.Context(), live); err != nil {
		t.Errorf("Check returned %v", err)
	}
}

// hanging returns a checker whose server hangs, with round trips under way that take all turns, and what ends the hanging
// and waits for those.
func hanging(t *testing.T) (checker *redisstore.Checker, goOn func()) {
	t.Helper()
	proxy := testenv.NewProxy(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: connect(t, proxy.Addr), Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	checker = newCheckerWith(t, connect(t, proxy.Addr), redisstore.CheckerConfig{Timeout: patience})
	if err := checker.Check(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	proxy.Swallow()
	var under errgroup.Group
	for n := range redisstore.MaxFlights {
		under.Go(func() error { return checker.Check(t.Context(), live) })
		eventually(t, "round trip under way", func() bool { return checker.UnderWay() == n+1 })
	}
	return checker, func() {
		t.Helper()
		proxy.Pass()
		if err := under.Wait(); err != nil {
			t.Errorf("a check that was under way: %v", err)
		}
	}
}

// The check that began a round trip for several may leave like any other: at once, and without harm to the others.
func TestCheckerLetsCallersGo(t *testing.T) {
	t.Parallel()
	checker, goOn := hanging(t)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- checker.Check(ctx, live) }()
	eventually(t, "first check that waits", func() bool { return checker.Waiting() == 1 })
	go func() { second <- checker.Check(t.Context(), live) }()
	eventually(t, "second check that waits", func() bool { return checker.Waiting() == 2 })
	cancel()
	if err := <-first; !errors.Is(err, revocation.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the first check returned %v", err)
	}
	goOn()
	if err := <-second; err != nil {
		t.Errorf("the second check returned %v", err)
	}
}

// A server that cannot keep up is not waited for by everybody: what exceeds the bound is told so at once, and the rest is
// answered when the server goes on.
func TestCheckerOverload(t *testing.T) {
	t.Parallel()
	checker, goOn := hanging(t)
	answers := make(chan error, 2*redisstore.MaxWaiting)
	for range cap(answers) {
		go func() { answers <- checker.Check(t.Context(), live) }()
	}
	for range redisstore.MaxWaiting {
		if err := <-answers; !errors.Is(err, revocation.ErrUnavailable) {
			t.Fatalf("beyond the bound: %v", err)
		}
	}
	if n := checker.Waiting(); n != redisstore.MaxWaiting {
		t.Errorf("%d checks wait, want %d", n, redisstore.MaxWaiting)
	}
	goOn()
	for range redisstore.MaxWaiting {
		if err := <-answers; err != nil {
			t.Fatalf("within the bound: %v", err)
		}
	}
	if err := checker.Check(t.Context(), live); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// No check waits for longer than the timeout, whoever's round trip it shares.
func TestCheckerDeadline(t *testing.T) {
	t.Parallel()
	proxy := testenv.NewProxy(t, testenv.Redis(t))
	checker := newCheckerWith(t, connect(t, proxy.Addr), redisstore.CheckerConfig{Timeout: 100 * time.Millisecond})
	proxy.Swallow()
	var all errgroup.Group
	begun := time.Now()
	for range 500 {
		all.Go(func() error {
			if err := checker.Check(context.Background(), live); !errors.Is(err, revocation.ErrUnavailable) {
				t.Errorf("Check returned %v", err)
			}
			return nil
		})
	}
	_ = all.Wait() // they return nil
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("checks with a timeout of 100ms took %v", took)
	}
}

func TestCheckerClosed(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	a := startAuthd(t, redisstore.Config{Client: client, Memory: &memory{}})
	eventually(t, "live set", isLive(a))
	checker := newChecker(t, client)
	if err := checker.Check(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	checker.Close()
	if err := checker.Check(t.Context(), live); !errors.Is(err, revocation.ErrUnavailable) {
		t.Errorf("Check returned %v", err)
	}
}
