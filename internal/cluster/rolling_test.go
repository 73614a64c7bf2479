package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
)

// Each authd in turn gets SIGTERM and is started anew, while clients log in, refresh, verify and log out through nginx, and
// keys rotate. Not one request fails, nor does what docs/cluster.md has a person do meanwhile.
func TestRollingRestart(t *testing.T) {
	showLogs(t, append([]string{"proxy", "orders", "redis-1"}, authds...)...)
	l := &load{t: t, client: newClient(t), counts: map[string]int{}, keys: map[string]bool{}}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() { l.use(ctx) })
	}
	clients.Go(func() { l.hammer(ctx) })
	clients.Go(func() { typed(t, 2) })
	docs.Shell{Places: pageAddresses()}.Run(t, docs.Steps(t, "docs/cluster.md", 1))
	// Long enough for a key that is new, and for the last authd to have its share.
	for began := time.Now(); l.signed() < 2 && time.Since(began) < patience; time.Sleep(100 * time.Millisecond) {
	}
	stop()
	clients.Wait()
	t.Log(l)
	if n := l.signed(); n < 2 {
		t.Errorf("tokens were signed by %d key: there was no rotation", n)
	}
	for _, what := range append([]string{"login 200", "refresh 200", "logout 204"}, places...) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(l.counts)), func(counted string) bool { return strings.HasPrefix(counted, what) }) {
			t.Errorf("there was no %s", what)
		}
	}
}

// load is what clients do, and how it went.
type load struct {
	t *testing.T
	*client

	mu     sync.Mutex
	counts map[string]int  // requests and their answers
	keys   map[string]bool // that signed
}

// use has sessions, one after another, until ctx ends. A request that has begun is finished.
func (l *load) use(ctx context.Context) {
	for ctx.Err() == nil {
		l.session(context.WithoutCancel(ctx))
	}
}

// hammer sends requests that may not be sent twice in bursts, so that nginx has idle connections to authd, and uses them, at
// any moment that an authd could close them.
func (l *load) hammer(ctx context.Context) {
	for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		var burst sync.WaitGroup
		for range 8 {
			burst.Go(func() {
				status, err := l.logout(context.WithoutCancel(ctx), grant{AccessToken: "of nobody"})
				l.want("a stranger's logout", http.StatusUnauthorized, status, err)
			})
		}
		burst.Wait()
	}
}

func (l *load) session(ctx context.Context) {
	g, status, err := l.login(ctx)
	if !l.want("login", http.StatusOK, status, err) {
		time.Sleep(100 * time.Millisecond) // do not fill the log
		return
	}
	for range 4 {
		l.note(g)
		for _, place := range places {
			status, err := l.ask(ctx, place, g.AccessToken)
			l.want(place, http.StatusOK, status, err)
		}
		next, status, err := l.refresh(ctx, g)
		if !l.want("refresh", http.StatusOK, status, err) {
			return
		}
		g = next
	}
	status, err = l.logout(ctx, g)
	if !l.want("logout", http.StatusNoContent, status, err) {
		return
	}
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		status, err := l.ask(ctx, ":9090/orders", g.AccessToken)
		if status == http.StatusUnauthorized {
			return
		}
		if !l.want(":9090/orders", http.StatusOK, status, err) {
			return
		}
		if time.Since(began) > 5*time.Second {
			l.t.Errorf("accepted %v after the logout", time.Since(began))
			return
		}
	}
}

func (l *load) want(what string, want, status int, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[fmt.Sprint(what, " ", status)]++
	if err != nil || status != want {
		l.t.Errorf("%s %s: %d %v, want %d", time.Now().Format(time.TimeOnly), what, status, err, want)
		return false
	}
	return true
}

func (l *load) note(g grant) {
	head, _, _ := strings.Cut(g.AccessToken, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct{ Kid string }
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.t.Errorf("reading a token's header: %v", err)
	}
	l.keys[header.Kid] = true
}

func (l *load) signed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
}

func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []string{fmt.Sprintf("%d keys", len(l.keys))}
	for _, what := range slices.Sorted(maps.Keys(l.counts)) {
		list = append(list, fmt.Sprintf("%s: %d", what, l.counts[what]))
	}
	return strings.Join(list, ", ")
}
