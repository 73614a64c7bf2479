package main_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// These tests run the previous release, built from its commit, and this one on the same data. docs/upgrades.md states the
// rule that they hold.

// past is what was done on some data so far, by whichever release: what must be valid stays valid, and what has ended never
// comes back.
type past struct {
	alive []grant
	ended []grant
	users []string
}

// check looks at everything through one server, and carries each live session on.
func (p *past) check(t *testing.T, s *server) {
	t.Helper()
	for i, g := range p.alive {
		renewed, status := s.refresh(t, g.RefreshToken)
		if status != http.StatusOK {
			t.Errorf("live session %d refreshes with %d", i, status)
			continue
		}
		for _, token := range []string{g.AccessToken, renewed.AccessToken} {
			until(t, "a valid token is accepted", func() bool { return s.verify(t, token) == http.StatusOK })
		}
		p.alive[i] = renewed
	}
	for i, g := range p.ended {
		until(t, fmt.Sprint("a denial of ended session ", i), func() bool { return s.verify(t, g.AccessToken) == http.StatusUnauthorized })
		if _, status := s.refresh(t, g.RefreshToken); status != http.StatusUnauthorized {
			t.Errorf("ended session %d refreshes with %d", i, status)
		}
	}
	for _, name := range p.users {
		s.login(t, name, alicesPassword)
	}
}

// goOn does what leaves something of each kind: sessions, ended in each way, and a key in the place of one that is revoked. It
// asks by one server, and another, which may be of another release, must know.
func (p *past) goOn(t *testing.T, s, other *server) {
	t.Helper()
	g := s.login(t, "alice", alicesPassword)
	kid := keyID(t, g.AccessToken)
	s.authd(t, "", "keys", "revoke", kid, "--yes")
	until(t, "a denial by key at the other", func() bool { return other.verify(t, g.AccessToken) == http.StatusUnauthorized })
	for _, x := range []*server{s, other} {
		until(t, "another key that signs", func() bool {
			renewed, status := x.refresh(t, g.RefreshToken)
			return status == http.StatusOK && keyID(t, renewed.AccessToken) != kid
		})
	}
	for i := range p.alive { // their tokens went with the key
		p.alive[i] = p.renew(t, other, p.alive[i])
	}
	out, ended := s.login(t, "alice", alicesPassword), s.login(t, "alice", alicesPassword)
	s.logout(t, out, "session")
	other.authd(t, "", "session", "end", ended.SessionID)
	p.ended = append(p.ended, out, ended)
	p.alive = append(p.alive, p.renew(t, other, g), s.login(t, "alice", alicesPassword))
	p.check(t, other)
	p.check(t, s)
}

func (p *past) renew(t *testing.T, s *server, g grant) grant {
	t.Helper()
	renewed, status := s.refresh(t, g.RefreshToken)
	if status != http.StatusOK {
		t.Fatalf("refresh: %d", status)
	}
	return renewed
}

// A data folder goes from one release to the other and back, also by a power cut: all that is valid stays so, and every
// logout holds.
func TestPreviousReleaseInFolder(t *testing.T) {
	t.Parallel()
	folder, _ := testenv.PreviousRelease(t)
	data := t.TempDir()
	var p past
	for i, program := range []string{filepath.Join(folder, "authd"), "authd", filepath.Join(folder, "authd"), "authd", "authd"} {
		s := serveWith(t, program, data, "--issuer", "http://127.0.0.1:1")
		p.check(t, s)
		if i == 0 {
			s.authd(t, alicesPassword, "user", "add", "alice")
		}
		name := fmt.Sprint("user", i)
		s.authd(t, alicesPassword, "user", "add", name)
		p.users = append(p.users, name)
		p.goOn(t, s, s)
		if i%2 == 0 {
			s.kill()
		} else {
			s.terminate(t)
		}
	}
}

// The commands of docs/upgrades.md print what it says.
func TestUpgradesTranscript(t *testing.T) {
	t.Parallel()
	folder, _ := testenv.PreviousRelease(t)
	dir := t.TempDir()
	if err := os.Symlink(folder, filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	public, admin := freePorts(t)+"1", freePorts(t)+"2"
	docs.Shell{
		Dir: dir, Env: append(path(), "AUTHD_LISTEN="+public, "AUTHD_ADMIN_LISTEN="+admin),
		Places: strings.NewReplacer("127.0.0.1:8080", public, "127.0.0.1:8081", admin),
	}.Run(t, docs.Steps(t, "docs/upgrades.md"))
}

// The previous release may go on beside this one: the databases need no more than it has.
func TestNeedsAreOfThePreviousRelease(t *testing.T) {
	t.Parallel()
	_, commit := testenv.PreviousRelease(t)
	for _, store := range []string{"identity/sqlstore", "mfa/sqlstore"} {
		out, err := exec.CommandContext(t.Context(), "git", "-C", "../..", "ls-tree", "--name-only", commit, store+"/migrations/").Output()
		if err != nil {
			t.Fatalf("%s of %s: %v", store, commit, err)
		}
		migrations := strings.Count(string(out), ".sql\n")
		if want := fmt.Sprintf("\nconst needs = %d\n", migrations); migrations == 0 || !strings.Contains(readText(t, "../../"+store+"/store.go"), want) {
			t.Errorf("%s: want %q, as commit %s has %d migrations", store, want, commit, migrations)
		}
	}
}

// beside are an authd of each release on the same stores, and a service of each release behind one address, which is the
// issuer.
type beside struct {
	t        *testing.T
	previous string // folder of its programs
	args     []string
	target   atomic.Pointer[url.URL] // of the services
	front    *httptest.Server
	orders   [2]string // URLs
}

func newBeside(t *testing.T, args ...string) *beside {
	t.Helper()
	b := &beside{t: t}
	b.previous, _ = testenv.PreviousRelease(t)
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0), // an authd that has ended refuses connections
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(b.target.Load()) },
	}
	b.front = httptest.NewServer(proxy)
	t.Cleanup(func() {
		b.front.CloseClientConnections()
		b.front.Close()
	})
	b.args = append([]string{"--kek-file", newKEK(t), "--issuer", b.front.URL, "--election-lease", lease.String()}, args...)
	return b
}

// startServices starts a service of each release.
func (b *beside) startServices() {
	b.t.Helper()
	for i, program := range []string{filepath.Join(b.previous, "orders"), "orders"} {
		p := startProcess(b.t, regexp.MustCompile(`listening on \S+\n`), program, "-issuer", b.front.URL, "-listen", "127.0.0.1:0")
		b.orders[i] = "http://" + p.out.find(b.t, `listening on (\S+)`) + "/orders"
	}
}

// follow has both services hear of logouts from one authd.
func (b *beside) follow(s *server) {
	b.t.Helper()
	to, err := url.Parse(s.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.target.Store(to)
	b.front.CloseClientConnections()
}

// checkServices logs in and out at one authd while the services follow another.
func (b *beside) checkServices(at, followed *server) {
	b.t.Helper()
	b.follow(followed)
	g := at.login(b.t, "alice", alicesPassword)
	answers := func(want int) func() bool {
		return func() bool {
			for _, orders := range b.orders {
				if b.ask(orders, g.AccessToken) != want {
					return false
				}
			}
			return true
		}
	}
	until(b.t, "both services accept a token", answers(http.StatusOK))
	at.logout(b.t, g, "session")
	until(b.t, "both services have heard of the logout", answers(http.StatusUnauthorized))
}

func (b *beside) ask(url, token string) int {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// run is an upgrade, one authd after the other, and the way back, in the middle of it and after it.
func (b *beside) run() {
	t, p := b.t, &past{}
	t.Helper()
	folders := sharedUsers(t, 2)
	start := func(program, folder string) *server { return serveWith(t, program, folder, b.args...) }
	previous := filepath.Join(b.previous, "authd")
	leads := func(s *server) {
		t.Helper()
		until(t, "it leads", func() bool { return s.leader(t).Self })
	}
	a := start(previous, folders[0])
	b.follow(a)
	b.startServices()
	p.goOn(t, a, a)

	newer := start("authd", folders[1]) // beside a leader of the previous release
	leads(a)
	p.goOn(t, newer, a)
	p.goOn(t, a, newer)
	b.checkServices(a, newer)

	a.terminate(t) // the new one leads alone
	leads(newer)
	p.goOn(t, newer, newer)
	a = start(previous, folders[0]) // back in the middle: the previous release beside a leader of the new one
	leads(newer)
	p.goOn(t, a, newer)
	p.goOn(t, newer, a)
	b.checkServices(newer, a)

	newer.kill() // all the way back
	leads(a)
	p.goOn(t, a, a)
	newer = start("authd", folders[1])
	a.terminate(t)
	leads(newer)
	p.goOn(t, newer, newer)
}

func TestPreviousReleaseBesideOnRedis(t *testing.T) {
	t.Parallel()
	newBeside(t, "--redis", "redis://"+testenv.Redis(t)).run()
}

func TestPreviousReleaseBesideOnKubernetes(t *testing.T) {
	t.Parallel()
	newBeside(t, append(kubernetes(t).flags, "--redis", "redis://"+testenv.Redis(t),
		"--election", "kubernetes", "--keys", "kubernetes")...).run()
}

// With users in one PostgreSQL, those that either release makes are the other's.
func TestPreviousReleaseBesideOnPostgres(t *testing.T) {
	t.Parallel()
	folder, _ := testenv.PreviousRelease(t)
	args := []string{
		"--redis", "redis://" + testenv.Redis(t), "--kek-file", newKEK(t), "--issuer", "http://127.0.0.1:1",
		"--users", testenv.NewPostgres(t).Database(t, ""),
	}
	var servers []*server
	for _, program := range []string{"authd", filepath.Join(folder, "authd"), "authd"} {
		s := serveWith(t, program, t.TempDir(), args...)
		name := fmt.Sprint("user", len(servers))
		s.authd(t, alicesPassword, "user", "add", name)
		servers = append(servers, s)
		for _, other := range servers {
			g := other.login(t, name, alicesPassword)
			s.authd(t, alicesPassword+"!\n", "user", "passwd", name)
			until(t, "a session from before the new password has ended", func() bool { return other.verify(t, g.AccessToken) == http.StatusUnauthorized })
			other.authd(t, alicesPassword, "user", "passwd", name)
		}
		if out := servers[0].authd(t, "", "user", "list"); strings.Count(out, "enabled") != len(servers) {
			t.Errorf("user list printed\n%s", out)
		}
	}
}
