package main_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
)

// addresses of the attacks here: the owner at home and at a café for the first time, and who guesses.
const (
	ownersHome = "192.0.2.1"
	ownersCafe = "198.51.100.7"
	guesser    = "203.0.113.66"
)

// T1, T3: 200 guesses at one account from one address, through two authd by turns, which are both killed and started
// again on the way. They end after eight for good; the owner gets in elsewhere all the while.
func TestGuessingGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	args := sharing(t, "redis://"+testenv.Redis(t))
	data := []string{t.TempDir(), t.TempDir()}
	start := func() []*server { return []*server{serve(t, data[0], args...), serve(t, data[1], args...)} }

	servers := start()
	servers[0].wantLoginFrom(t, ownersHome, demoPassword, http.StatusOK)
	looked := 0
	for i := range 200 {
		if i == 5 || i == 100 { // once before the budget is used up, and once after
			servers[0].kill()
			servers[1].kill()
			servers = start()
		}
		switch status, body := servers[i%2].loginFrom(t, guesser, demoUser, fmt.Sprint("guess ", i)); status {
		case http.StatusUnauthorized:
			looked++
		case http.StatusTooManyRequests: // has a Retry-After, or loginFrom says so
		default:
			t.Fatalf("guess %d is answered %d %s", i, status, body)
		}
	}
	if looked != 8 {
		t.Errorf("%d of 200 guesses were looked at, want 8", looked)
	}
	for _, s := range servers {
		s.wantLoginFrom(t, guesser, demoPassword, http.StatusTooManyRequests)
		s.wantLoginFrom(t, ownersHome, demoPassword, http.StatusOK)
	}
	servers[1].wantLoginFrom(t, ownersCafe, demoPassword, http.StatusOK)
}

// T2: one guess at each of 2,000 accounts, from one address. It is soon refused, and nobody else is.
func TestStuffingTwoThousandAccounts(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo", "--trusted-proxies", "127.0.0.1/32")
	began, looked := time.Now(), 0
	for i := range 2000 {
		switch status, body := s.loginFrom(t, guesser, fmt.Sprint("user", i), "a password from a leak"); status {
		case http.StatusUnauthorized:
			looked++
		case http.StatusTooManyRequests:
		default:
			t.Fatalf("guess %d is answered %d %s", i, status, body)
		}
	}
	// 30 at once, and then two more each minute.
	if most := 31 + int(2*time.Since(began).Minutes()); looked < 30 || looked > most {
		t.Errorf("%d of 2,000 guesses were looked at, want 30 to %d", looked, most)
	}
	s.wantLoginFrom(t, guesser, demoPassword, http.StatusTooManyRequests)
	began = time.Now()
	s.wantLoginFrom(t, ownersHome, demoPassword, http.StatusOK)
	t.Logf("another address logs in within %v", time.Since(began).Round(time.Millisecond))
}
