package httpapi_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/testenv"
)

// town is authd as people at many addresses meet it: behind a trusted proxy, and by turns on each of its servers.
type town struct {
	*env
	servers []string
	turn    int
}

// addresses of the town. The owner has logged in from home before and is at the café for the first time.
const (
	home = "192.0.2.1"
	cafe = "198.51.100.7"
	thug = "203.0.113.66"
)

// stranger is the i-th address of a large attacker.
func stranger(i int) string { return fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff) }

// inTown runs a test against one server that keeps its limits in memory, and against two that share them in Redis.
func inTown(t *testing.T, test func(t *testing.T, town *town)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, newTown(t, memoryLimits{})) })
	t.Run("redis", func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: testenv.Redis(t), ContextTimeoutEnabled: true})
		t.Cleanup(func() { must(t, client.Close()) })
		limits := redisLimits{client}
		town := newTown(t, limits)
		town.addServer(func(c *httpapi.PublicConfig) { c.Logins = newLogins(t, limits) })
		test(t, town)
	})
}

func newTown(t *testing.T, limits limitStore) *town {
	t.Helper()
	guard := newLogins(t, limits)
	e := newEnv(t, options{
		public: func(c *httpapi.PublicConfig) {
			c.Logins = guard
			c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		},
		admin: func(c *httpapi.AdminConfig) { c.Logins = guard },
	})
	return &town{env: e, servers: []string{e.publicURL}}
}

// addServer starts another public listener beside the first, changed by change.
func (t *town) addServer(change func(*httpapi.PublicConfig)) {
	c := t.publicConfig
	c.Metrics = nil
	change(&c)
	s, err := httpapi.NewPublic(c)
	must(t.t, err)
	url := listen(t.t, runner(t.t), s)
	t.http.Transport.(*contract).add(url)
	t.servers = append(t.servers, url)
}

// try logs in from an address, and checks that a refusal says when to come back and nothing else.
func (t *town) try(address, username, password string) int {
	t.t.Helper()
	t.turn++
	a := t.send(t.newRequest(t.servers[t.turn%len(t.servers)], request{
		method: "POST", path: "/v1/login", header: http.Header{"X-Forwarded-For": {address}},
		json: map[string]string{"username": username, "password": password},
	}))
	if a.status == http.StatusTooManyRequests {
		wantProblem(t.t, a, http.StatusTooManyRequests, "too_many_attempts")
		if a.header.Get("Retry-After") == "" || a.header.Get("RateLimit") != "" {
			t.t.Errorf("a refusal with the headers %v", a.header)
		}
	}
	return a.status
}

func (t *town) wantLogin(address string, want int) {
	t.t.Helper()
	if got := t.try(address, aliceName, alicePassword); got != want {
		t.t.Errorf("alice logs in from %s with %d, want %d", address, got, want)
	}
}

// T1: guesses at one account from one address end after eight, and then the right password is of no use there either.
func TestGuessingFromOneAddress(t *testing.T) {
	inTown(t, func(t *testing.T, town *town) {
		for i := range 20 {
			want := http.StatusUnauthorized
			if i >= 8 {
				want = http.StatusTooManyRequests
			}
			if got := town.try(thug, aliceName, fmt.Sprint("guess ", i)); got != want {
				t.Errorf("guess %d is answered %d, want %d", i, got, want)
			}
		}
		town.wantLogin(thug, http.StatusTooManyRequests)
		town.wantLogin(cafe, http.StatusOK)
	})
}

// T1: guesses at one account from everywhere end long before the hundredth, whether there is such an account or not.
func TestGuessingFromManyAddresses(t *testing.T) {
	inTown(t, func(t *testing.T, town *town) {
		for _, name := range []string{aliceName, "nobody"} {
			looked := 0
			for i := range 60 {
				for guess := range 4 {
					switch got := town.try(stranger(i), name, fmt.Sprint("guess ", guess)); got {
					case http.StatusUnauthorized:
						looked++
					case http.StatusTooManyRequests:
					default:
						t.Fatalf("a guess is answered %d", got)
					}
				}
			}
			if looked != 40 { // 35 of new addresses and 5 repeats
				t.Errorf("%d guesses at %s were looked at, want 40", looked, name)
			}
		}
	})
}

// T2: one try at each of many accounts from one address. Nobody else notices.
func TestStuffing(t *testing.T) {
	inTown(t, func(t *testing.T, town *town) {
		looked := 0
		for i := range 200 {
			switch got := town.try(thug, fmt.Sprint("user", i), "a password from a leak"); got {
			case http.StatusUnauthorized:
				looked++
			case http.StatusTooManyRequests:
			default:
				t.Fatalf("a try is answered %d", got)
			}
		}
		if looked < 30 || looked > 40 { // two more each minute, on a machine that slow
			t.Errorf("%d tries were looked at, want 30", looked)
		}
		town.wantLogin(thug, http.StatusTooManyRequests)
		town.wantLogin(cafe, http.StatusOK)
	})
}

// T3: an attack that uses an account's budget up does not keep its owner out at home; at the café an administrator
// helps.
func TestLockingOut(t *testing.T) {
	inTown(t, func(t *testing.T, town *town) {
		town.wantLogin(home, http.StatusOK)
		for i := range 60 {
			town.try(stranger(i), aliceName, "wrong")
		}
		if got := town.try(stranger(60), aliceName, "wrong"); got != http.StatusTooManyRequests {
			t.Fatalf("the attack is still answered %d", got)
		}
		town.wantLogin(home, http.StatusOK)
		town.wantLogin(cafe, http.StatusTooManyRequests)
		must(t, town.client().ForgiveUser(t.Context(), "Alice"))
		town.wantLogin(cafe, http.StatusOK)
		for i := range 60 {
			town.try(stranger(i), aliceName, "wrong again")
		}
		town.wantLogin(home, http.StatusOK)
		town.wantLogin(cafe, http.StatusOK) // known by now
		if log := town.log.String(); strings.Contains(log, "wrong") || strings.Contains(log, aliceName) {
			t.Error("the log holds a name or a password that somebody typed")
		}
	})
}

// An honest program may log in many times at once, also through several servers, of which each sees only its own attempts.
func TestManyLoginsAtOnce(t *testing.T) {
	inTown(t, func(t *testing.T, town *town) {
		town.wantLogin(home, http.StatusOK)
		var clients sync.WaitGroup
		for i := range 40 {
			server := town.servers[i%len(town.servers)]
			clients.Go(func() {
				a := town.send(town.newRequest(server, request{
					method: "POST", path: "/v1/login", header: http.Header{"X-Forwarded-For": {home}},
					json: map[string]string{"username": aliceName, "password": alicePassword},
				}))
				wantStatus(t, a, http.StatusOK)
			})
		}
		clients.Wait()
	})
}

// T14: an address that a client claims to have is worth nothing, neither to evade a limit nor to use up another's.
func TestClaimedAddressesDoNotCount(t *testing.T) {
	e := newEnv(t)
	from := func(local, claimed, password string) int {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
		transport := &http.Transport{DialContext: dialer.DialContext}
		defer transport.CloseIdleConnections()
		header := http.Header{}
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Cf-Connecting-Ip", "True-Client-Ip"} {
			header.Set(name, claimed)
		}
		header.Set("Forwarded", "for="+claimed)
		resp, err := transport.RoundTrip(e.newRequest(e.publicURL, request{
			method: "POST", path: "/v1/login", header: header,
			json: map[string]string{"username": aliceName, "password": password},
		}))
		must(t, err)
		must(t, resp.Body.Close())
		return resp.StatusCode
	}
	for i := range 12 {
		want := http.StatusUnauthorized
		if i >= 8 {
			want = http.StatusTooManyRequests
		}
		claimed := fmt.Sprint("198.51.100.", i)
		if i%2 == 0 {
			claimed = "127.0.0.3"
		}
		if got := from("127.0.0.2", claimed, "wrong"); got != want {
			t.Errorf("guess %d is answered %d, want %d", i, got, want)
		}
	}
	if got := from("127.0.0.3", "127.0.0.2", alicePassword); got != http.StatusOK {
		t.Errorf("whose address was claimed logs in with %d", got)
	}
	if n := strings.Count(e.log.String(), "not among the trusted proxies"); n != 1 {
		t.Errorf("the operator is told %d times of what looks like a proxy, want once", n)
	}
}

// Two spellings of one account share its budget, also where case folding is intricate.
func TestSpellingsShareABudget(t *testing.T) {
	e := newEnv(t)
	_, err := e.users.Add(t.Context(), "İİİ", "a long enough password")
	must(t, err)
	spellings := []string{"İİİ", "i̇i̇i̇", "i̇İİ", "İi̇İ", "İİi̇", "I\u0307İi̇"}
	for i := range 12 {
		a := e.do(request{method: "POST", path: "/v1/login", json: map[string]string{
			"username": spellings[i%len(spellings)], "password": "wrong",
		}})
		want := http.StatusUnauthorized
		if i >= 8 {
			want = http.StatusTooManyRequests
		}
		if a.status != want {
			t.Errorf("guess %d is answered %d, want %d", i, a.status, want)
		}
	}
}
