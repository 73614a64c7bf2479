package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

// noon is a clock that stands still, so that the examples print the same each time.
func noon() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

func ExampleParsePolicy() {
	p, err := ratelimit.ParsePolicy("token-bucket 10/m burst 50")
	fmt.Println(p, err)
	_, err = ratelimit.ParsePolicy("token-bucket 10/fortnight")
	fmt.Println(err)
	// Output:
	// token-bucket 10/1m burst 50 <nil>
	// rate limit "token-bucket 10/fortnight": window of rate "10/fortnight": want a duration such as 30s, 1m or 24h
}

func ExamplePolicy_Step() {
	p := ratelimit.Policy{Algorithm: ratelimit.TokenBucket, Limit: 6, Window: time.Minute, Burst: 2}
	var s ratelimit.State // a key never seen
	for _, second := range []int{0, 1, 2, 10} {
		var d ratelimit.Decision
		s, d = p.Step(s, noon().Add(time.Duration(second)*time.Second), 1)
		fmt.Printf("%2d s: allowed %v, %d remaining, retry after %v\n", second, d.Allowed, d.Remaining, d.RetryAfter)
	}
	// Output:
	//  0 s: allowed true, 1 remaining, retry after 0s
	//  1 s: allowed true, 0 remaining, retry after 0s
	//  2 s: allowed false, 0 remaining, retry after 8s
	// 10 s: allowed true, 0 remaining, retry after 0s
}

func ExampleMemory() {
	limiter, err := ratelimit.NewMemory(ratelimit.MemoryConfig{
		Policy: ratelimit.Policy{Algorithm: ratelimit.FixedWindow, Limit: 2, Window: time.Minute},
		Now:    noon,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		d, err := limiter.Allow(context.Background(), "192.0.2.1", 1)
		fmt.Println(d.Allowed, d.Remaining, d.RetryAfter, err)
	}
	// Output:
	// true 1 0s <nil>
	// true 0 0s <nil>
	// false 0 1m0s <nil>
}

func ExampleNewHandler() {
	limiter, err := ratelimit.NewMemory(ratelimit.MemoryConfig{
		Policy: ratelimit.Policy{Algorithm: ratelimit.FixedWindow, Limit: 1, Window: time.Minute},
		Now:    noon,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })
	handler, err := ratelimit.NewHandler(ratelimit.HandlerConfig{
		Name:    "api",
		Limiter: limiter,
		Key:     func(r *http.Request) string { return r.RemoteAddr },
	}, hello)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		h := w.Result().Header
		fmt.Println(w.Code, h.Get("RateLimit-Policy"), h.Get("RateLimit"), h["Retry-After"])
	}
	// Output:
	// 200 "api";q=1;w=60 "api";r=0;t=60 []
	// 429 "api";q=1;w=60 "api";r=0;t=60 [60]
}

func ExampleLoginGuard() {
	ctx := context.Background()
	known, err := ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{Now: noon})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := ratelimit.NewLoginGuard(ratelimit.LoginConfig{
		Open: func(_ string, p ratelimit.Policy) (ratelimit.Limiter, error) {
			return ratelimit.NewMemory(ratelimit.MemoryConfig{Policy: p, Now: noon})
		},
		Known: known,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	login := func(address, password string) string {
		attempt, err := guard.Before(ctx, "alice", netip.MustParseAddr(address))
		if err != nil {
			return "503 " + err.Error()
		}
		if !attempt.Allowed {
			return fmt.Sprint("429 retry after ", attempt.RetryAfter.Round(time.Minute))
		}
		if password != "correct horse battery staple" {
			guard.Failed(attempt)
			return "401"
		}
		if err := guard.Succeeded(ctx, attempt); err != nil {
			return "200, and logged: " + err.Error()
		}
		return "200"
	}
	for range 8 {
		login("203.0.113.9", "guess")
	}
	fmt.Println("a stranger's ninth guess:", login("203.0.113.9", "guess"))
	fmt.Println("the owner, elsewhere:", login("192.0.2.1", "correct horse battery staple"))
	// Output:
	// a stranger's ninth guess: 429 retry after 4h48m0s
	// the owner, elsewhere: 200
}
