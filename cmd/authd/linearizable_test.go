package main_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session/sessiontest"
)

const (
	crowdSessions = 6
	crowdClients  = 4                      // of each session: tabs that share what they were given
	crowdGrace    = 600 * time.Millisecond // short, so that a history has many generations
)

// S1 to S3 and R5 by processes: clients refresh and log out the same sessions at two authd over one Redis, while
// connections are cut and one authd is killed and comes back. What all clients of a session saw must be what the rule
// allows in some order.
func TestLinearizableAcrossProcesses(t *testing.T) {
	t.Parallel()
	toRedis := testenv.NewProxy(t, testenv.Redis(t))
	r := startReplicas(t, 2, "--redis", "redis://"+toRedis.Addr, "--refresh-grace", crowdGrace.String(),
		"--refresh-replays", "1000000", "--rate-limits", "refresh=none")
	c := newCrowd(t, r)

	c.generations(2) // in peace
	toRedis.Cut()
	c.cut()
	c.generations(1)
	c.ending.Store(true) // from now on some log out
	c.generations(1)
	c.cut()
	toRedis.Cut()
	c.generations(1)
	c.kill(1)
	c.generations(2)
	c.restart(1)
	c.generations(2)
	c.stealing.Store(true) // somebody comes with old tokens
	c.generations(2)
	c.stop()
	c.judge()
}

// crowd is the clients of some sessions.
type crowd struct {
	t        *testing.T
	replicas *replicas
	doors    []atomic.Pointer[door] // to each authd; nil while it is not there
	ending   atomic.Bool
	stealing atomic.Bool
	families []*family
	quit     context.CancelFunc
	clients  sync.WaitGroup
}

// door is the way to an authd.
type door struct {
	*testenv.Proxy
	client *http.Client
}

func (c *crowd) open(i int) {
	proxy := testenv.NewProxy(c.t, strings.TrimPrefix(c.replicas.servers[i].URL, "http://"))
	transport := &http.Transport{MaxIdleConnsPerHost: crowdSessions * crowdClients}
	c.t.Cleanup(transport.CloseIdleConnections)
	c.doors[i].Store(&door{proxy, &http.Client{Transport: transport, Timeout: patience}})
}

func newCrowd(t *testing.T, r *replicas) *crowd {
	t.Helper()
	c := &crowd{t: t, replicas: r, doors: make([]atomic.Pointer[door], len(r.servers))}
	for i := range r.servers {
		c.open(i)
	}
	ctx, quit := context.WithCancel(context.Background())
	c.quit = quit
	t.Cleanup(c.stop)
	for i := range crowdSessions {
		f := &family{number: i, began: time.Now()}
		f.take(r.servers[i%len(r.servers)].login(t, "alice", alicesPassword))
		f.created = time.Since(f.began)
		c.families = append(c.families, f)
		for client := range crowdClients {
			c.clients.Go(func() {
				for ctx.Err() == nil {
					c.act(f, client)
					select {
					case <-ctx.Done():
					case <-time.After(rand.N(150 * time.Millisecond)):
					}
				}
			})
		}
	}
	return c
}

// stop waits for the clients to end.
func (c *crowd) stop() {
	c.quit()
	c.clients.Wait()
}

// cut closes all connections of clients to authd, whatever is under way.
func (c *crowd) cut() {
	for i := range c.doors {
		c.doors[i].Load().Cut()
	}
}

// kill ends an authd without notice, while clients wait for its answers.
func (c *crowd) kill(i int) {
	c.replicas.servers[i].kill()
	c.doors[i].Store(nil)
}

// restart starts it again with what it had on disk.
func (c *crowd) restart(i int) {
	c.t.Helper()
	c.replicas.servers[i] = serve(c.t, c.replicas.servers[i].Data, c.replicas.args...)
	c.open(i)
}

// generations waits until every session has rotated so many times, or has ended.
func (c *crowd) generations(more uint64) {
	c.t.Helper()
	for _, f := range c.families {
		_, had := f.newest()
		until(c.t, fmt.Sprintf("session %d with %d more generations", f.number, more), func() bool {
			_, now := f.newest()
			return now >= had+more || f.hasEnded()
		})
	}
}

// family is one session and what its clients share.
type family struct {
	number  int
	began   time.Time     // before the session was created
	created time.Duration // after that

	mu      sync.Mutex
	grants  []grant // of each generation, the first at 0
	history []porcupine.Operation
	ended   bool          // somebody was told so
	out     bool          // a logout was acknowledged
	stolen  bool          // an old token was presented
	slowest time.Duration // call that was answered
}

func (f *family) take(g grant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := generationOf(g.RefreshToken); n == uint64(len(f.grants))+1 {
		f.grants = append(f.grants, g)
	}
}

func (f *family) newest() (grant, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.grants[len(f.grants)-1], uint64(len(f.grants))
}

func (f *family) hasEnded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// generationOf reads the generation that a refresh token names (session/refreshtoken.go).
func generationOf(token string) uint64 {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "authd_rt_"))
	const at = 1 + 4 + 16
	if err != nil || len(raw) < at+8 {
		return 0
	}
	return binary.BigEndian.Uint64(raw[at:])
}

// act does one thing that a client of a session may do, at any authd.
func (c *crowd) act(f *family, client int) {
	d := c.doors[rand.IntN(len(c.doors))].Load()
	if d == nil {
		return
	}
	g, generation := f.newest()
	switch {
	case f.number%3 == 1 && client == 0 && c.ending.Load() && rand.IntN(10) == 0:
		c.call(f, client, sessiontest.Call{End: true}, d, "/v1/logout", g.AccessToken, map[string]string{"scope": "session"})
	case f.number%3 == 2 && client == 0 && c.stealing.Load() && generation > 3:
		f.mu.Lock()
		f.stolen, g, generation = true, f.grants[generation-3], generation-2
		f.mu.Unlock()
		fallthrough
	default:
		c.call(f, client, sessiontest.Call{Presented: generation}, d, "/v1/refresh", "", map[string]string{"refresh_token": g.RefreshToken})
	}
}

// call sends a request and writes down what became of it.
func (c *crowd) call(f *family, client int, call sessiontest.Call, d *door, path, bearer string, body map[string]string) {
	call.From = time.Since(f.began)
	status, g, err := d.post(path, bearer, body)
	call.To = time.Since(f.began)
	if notSent(err) {
		return
	}
	var answer sessiontest.Answer
	switch {
	case err != nil || status == http.StatusServiceUnavailable:
		answer.Unknown = true
	case status == http.StatusUnauthorized, status == http.StatusNoContent:
		// Of a logout 401 says that the token was revoked, so that the session has ended.
		answer.Ended = true
	case status == http.StatusOK && g.SessionID != "":
		answer.Generation = generationOf(g.RefreshToken)
		f.take(g)
	default:
		c.t.Errorf("%s answers %d", path, status)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = f.ended || answer.Ended
	f.out = f.out || status == http.StatusNoContent
	if !answer.Unknown {
		f.slowest = max(f.slowest, call.To-call.From)
	}
	f.history = append(f.history, porcupine.Operation{
		ClientId: client, Input: call, Call: int64(call.From), Output: answer, Return: int64(call.To),
	})
}

// notSent tells that nobody can have received the request.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (d *door) post(path, bearer string, body map[string]string) (status int, g grant, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, grant{}, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+d.Addr+path, bytes.NewReader(data))
	if err != nil {
		return 0, grant{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, grant{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusOK {
		err = json.Unmarshal(answer, &g)
	}
	return resp.StatusCode, g, err
}

// judge looks at all histories, and at what has become of the sessions.
func (c *crowd) judge() {
	c.t.Helper()
	ended := 0
	for _, f := range c.families {
		c.judgeHistory(f)
		switch {
		case f.ended:
			ended++
			c.judgeEnd(f)
		case f.number%3 != 0:
			c.t.Errorf("session %d was to end, and has not", f.number)
		}
		// S3: a client that is never late is never logged out.
		if f.ended && !f.out && !f.stolen && f.slowest < crowdGrace {
			c.t.Errorf("session %d was ended for an honest client, whose slowest call took %v", f.number, f.slowest)
		}
	}
	if ended == crowdSessions {
		c.t.Error("no session is left")
	}
}

func (c *crowd) judgeHistory(f *family) {
	c.t.Helper()
	unknown := 0
	end := int64(time.Since(f.began))
	for i := range f.history {
		op := &f.history[i]
		if op.Output.(sessiontest.Answer).Unknown {
			unknown++
			// Nobody knows until when an authd was about it.
			call := op.Input.(sessiontest.Call)
			call.To = time.Duration(end)
			op.Input, op.Return = call, end
		}
	}
	switch porcupine.CheckOperationsTimeout(sessiontest.OutsideModel(crowdGrace, f.created), f.history, 2*time.Minute) {
	case porcupine.Illegal:
		c.t.Errorf("the history of session %d is not linearizable:", f.number)
		for _, op := range f.history {
			c.t.Logf("%d %+v → %+v", op.ClientId, op.Input, op.Output)
		}
	case porcupine.Unknown:
		c.t.Errorf("the history of session %d could not be checked in time", f.number)
	}
	c.t.Logf("session %d: %d calls, %d without an answer, %d generations, ended: %v", f.number, len(f.history), unknown, len(f.grants), f.ended)
}

// judgeEnd checks that nobody accepts any token of an ended session, and that nothing brings it back (R1, R5).
func (c *crowd) judgeEnd(f *family) {
	c.t.Helper()
	for _, s := range c.replicas.servers {
		for i, g := range f.grants {
			if _, status := s.refresh(c.t, g.RefreshToken); status != http.StatusUnauthorized {
				c.t.Errorf("generation %d of session %d, which has ended, is answered %d", i+1, f.number, status)
			}
			until(c.t, "a denial everywhere", func() bool { return s.verify(c.t, g.AccessToken) == http.StatusUnauthorized })
		}
	}
}

// R1, S3 and R5 under a failover that loses what was acknowledged: nobody accepts what was logged out, not for a moment,
// those who were not stay logged in, and the records end again, or the sessions would come back once their revocations
// have expired.
func TestLogoutsSurviveLossyFailover(t *testing.T) {
	t.Parallel()
	set := testenv.NewRedisSentinel(t)
	url := "redis-sentinel://" + strings.Join(set.Sentinels, ",") + "/?master=" + set.Name
	r := startReplicas(t, 2, "--redis", url, "--refresh-replays", "1000000")
	const pairs = 3
	const untouched = 0 // of those that are ended: a refresh would end it again, and nobody may depend on that
	var ended, alive []grant
	for range pairs {
		ended = append(ended, r.servers[0].login(t, "alice", alicesPassword))
		alive = append(alive, r.servers[1].login(t, "alice", alicesPassword))
	}
	old := set.Primary(t)
	admin := redis.NewClient(&redis.Options{Addr: old.Addr})
	defer admin.Close()
	conn := admin.Conn() // WAIT counts what was written before on its own connection
	defer conn.Close()
	if err := conn.Set(t.Context(), "after the sessions", 1, time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "replicas that have the sessions", func() bool { return conn.Wait(t.Context(), 2, time.Second).Val() == 2 })
	for _, server := range set.Servers {
		if server != old {
			server.Freeze()
		}
	}
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil { // or it is in their sockets
		t.Fatal(err)
	}
	for i, g := range ended {
		r.servers[i%2].logout(t, g, "session") // which no replica has
	}
	acked := time.Now()
	old.Kill()
	for _, server := range set.Servers {
		if server != old {
			server.Thaw()
		}
	}
	look := func() (renewed int) {
		for _, s := range r.servers {
			for i, g := range ended {
				if i == untouched {
					continue
				}
				if _, status := s.refresh(t, g.RefreshToken); status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
					t.Fatalf("a refresh after the logout answers %d", status)
				}
				bound := time.Since(acked) > 5*time.Second
				if status := s.verify(t, g.AccessToken); bound && status != http.StatusUnauthorized && status != http.StatusServiceUnavailable {
					t.Fatalf("a token of a session that was logged out is answered %d", status)
				}
			}
			for i, g := range alive {
				switch next, status := s.refresh(t, g.RefreshToken); status {
				case http.StatusOK:
					alive[i] = next
					renewed++
				case http.StatusServiceUnavailable:
				default:
					t.Fatalf("a session that nobody has ended refreshes with %d", status)
				}
			}
		}
		return renewed
	}
	until(t, "everybody who is left refreshing", func() bool { return look() == 2*pairs })
	promoted := redis.NewClient(&redis.Options{Addr: set.Primary(t).Addr})
	defer promoted.Close()
	if promoted.Options().Addr == old.Addr {
		t.Fatal("there was no failover")
	}
	until(t, "the records ended again", func() bool {
		look()
		for _, g := range ended {
			if !strings.HasPrefix(promoted.Get(t.Context(), "authd:s:{"+g.SessionID+"}").Val(), "ended ") {
				return false
			}
		}
		return true
	})
	for i, s := range r.servers {
		if _, status := s.refresh(t, ended[untouched].RefreshToken); status != http.StatusUnauthorized {
			t.Errorf("in the end authd %d answers %d to a refresh after the logout", i, status)
		}
	}
}
