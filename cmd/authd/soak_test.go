package main_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/loadtest"
	"github.com/authd-project/authd/internal/testenv"
)

var (
	soakFor  = flag.Duration("soak.for", 10*time.Second, "how long TestSoak lasts; growth is judged from two minutes on")
	soakRate = flag.Int("soak.rate", 40, "requests a second in TestSoak, for each mode")
	soakPage = flag.String("soak.page", "", "page that TestSoak writes")
)

// soakArgs rotate keys every five seconds and let tokens die after twenty, so that everything that comes also goes within the
// time of the test.
func soakArgs() []string {
	return []string{
		"--rotate-every=5s", "--publish-ahead=4s", "--jwks-max-age=1s", "--jwks-overstay=1500ms", "--view-age=1s", "--skew=100ms",
		"--access-ttl=20s", "--refresh-grace=10s", "--leeway=1s", "--session-idle=2m", "--session-absolute=30m",
	}
}

// Under a steady load nothing fails and no logout is forgotten while keys rotate and servers are restarted, in good order
// and by a kill; and then, left alone, nothing grows: no memory, no goroutines, no open files, no file, no latency.
func TestSoak(t *testing.T) {
	t.Parallel()
	rows := make([]string, 2)
	t.Run("modes", func(t *testing.T) {
		t.Run("embedded", func(t *testing.T) {
			t.Parallel()
			rows[0] = newSoak(t, "embedded", 1).run()
		})
		t.Run("redis", func(t *testing.T) {
			t.Parallel()
			redis := testenv.NewRedis(t)
			s := newSoak(t, "two on Redis", 2, "--redis", "redis://"+redis.Addr, "--kek-file", newKEK(t))
			rows[1] = s.run()
		})
	})
	page := soakText(t, time.Now(), rows)
	if *soakPage != "" && !t.Failed() {
		if err := os.WriteFile(*soakPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("../../docs/soak.md")
	if err != nil {
		t.Fatal(err)
	}
	if want, got := withoutRows(page), withoutRows(string(committed)); got != want {
		t.Errorf("docs/soak.md was written by another test; run: make soak\nit says\n%s\nnot\n%s", got, want)
	}
}

// soak is one mode under load.
type soak struct {
	t       *testing.T
	mode    string
	places  []soakPlace
	servers []*server
	front   string // the issuer: the first place
	users   string

	restarts int
}

// soakPlace is where an authd runs, again and again.
type soakPlace struct {
	data, public, admin string
	args                []string
}

func newSoak(t *testing.T, mode string, n int, args ...string) *soak {
	t.Helper()
	s := &soak{t: t, mode: mode, users: fireUsers(t)}
	for range n {
		p := soakPlace{data: t.TempDir(), public: freeAddress(t), admin: freeAddress(t)}
		if s.front == "" {
			s.front = "http://" + p.public
		}
		p.args = append([]string{
			"--listen", p.public, "--admin-listen", p.admin, "--issuer", s.front, "--users", "htpasswd:" + s.users,
		}, append(soakArgs(), args...)...)
		s.places = append(s.places, p)
		s.servers = append(s.servers, serve(t, p.data, p.args...))
	}
	return s
}

// run loads the servers, restarts them in the first half, and judges the second. It returns a row for the page.
func (s *soak) run() string {
	s.t.Helper()
	began := time.Now()
	bench, report := s.startBench()
	watched := s.watch()
	const restarts = 4
	for i := range restarts {
		at := began.Add(*soakFor * time.Duration(i+1) / (2 * (restarts + 1)))
		for time.Now().Before(at) {
			wait(s.t, min(100*time.Millisecond, time.Until(at)))
		}
		s.restart(i)
	}
	undisturbed := time.Now()
	select {
	case <-bench.done:
	case <-time.After(*soakFor + 5*time.Minute):
		s.t.Fatal("the load does not end")
	}
	kids, size := watched()
	if bench.err != nil {
		s.t.Errorf("%s: %v\n%s", s.mode, bench.err, bench.out)
	}
	s.t.Logf("%s:\n%s", s.mode, bench.out)
	r := readReport(s.t, report)
	s.check(r, kids)
	g := newGrowth(r, undisturbed.Add(undisturbed.Sub(began)/4), size) // caches fill for a while after a restart
	if *soakFor >= 2*time.Minute {
		g.check(s.t, s.mode)
	}
	return fmt.Sprintf("| %s | %v | %s | %d | %d | %d | %d | %d | %s |", s.mode, soakFor.Round(time.Second), loadtest.Digits(r.Settings.Rate),
		s.restarts, kids-1, requestsOf(r), r.Failed(), s.logouts(r), g.cells())
}

func (s *soak) startBench() (*process, string) {
	s.t.Helper()
	report := filepath.Join(s.t.TempDir(), "soak.json")
	accounts := filepath.Join(s.t.TempDir(), "accounts")
	if err := os.WriteFile(accounts, []byte(fireUser(0)+":"+alicesPassword+"\n"+fireUser(1)+":"+alicesPassword+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	args := []string{
		"bench", "--accounts", accounts, "--rate", fmt.Sprint(*soakRate), "--duration", soakFor.String(), "--warmup=0s", "--sessions=64",
		"--connections=32", "--guards=3", "--patience=2m", "--leeway=1s", "--timeout=1m",
		"--json", report,
	}
	for _, p := range s.places {
		args = append(args, "--url", "http://"+p.public, "--metrics", "http://"+p.admin+"/metrics")
	}
	return startProcess(s.t, regexp.MustCompile(`measuring`), "authd", args...), report
}

// restart ends one server and starts it again, every other time without notice.
func (s *soak) restart(i int) {
	s.t.Helper()
	n := i / 2 % len(s.servers)
	if i%2 == 0 {
		_ = s.servers[n].cmd.Process.Signal(syscall.SIGTERM)
		<-s.servers[n].done
	} else {
		s.servers[n].kill()
	}
	s.servers[n] = serve(s.t, s.places[n].data, s.places[n].args...)
	s.restarts++
}

// watch notes meanwhile which keys are published, and how large the store is, until the returned function is called.
func (s *soak) watch() (stop func() (kids int, sizes []soakSize)) {
	s.t.Helper()
	seen := map[string]bool{}
	var sizes []soakSize
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			for _, kid := range publishedKeys(s.front) {
				seen[kid] = true
			}
			if info, err := os.Stat(filepath.Join(s.places[0].data, "authd.db")); err == nil {
				sizes = append(sizes, soakSize{time.Now(), float64(info.Size())})
			}
			select {
			case <-time.After(time.Second):
			case <-done:
				return
			}
		}
	})
	stopOnce := sync.OnceFunc(func() { close(done); watching.Wait() })
	s.t.Cleanup(stopOnce)
	return func() (int, []soakSize) {
		stopOnce()
		return len(seen), sizes
	}
}

type soakSize struct {
	at    time.Time
	bytes float64
}

// publishedKeys are the kids of a JWKS; none while nobody answers.
func publishedKeys(issuer string) (kids []string) {
	resp, err := http.Get(issuer + "/.well-known/jwks.json")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	for _, m := range regexp.MustCompile(`"kid":"([^"]+)"`).FindAllStringSubmatch(string(body), -1) {
		kids = append(kids, m[1])
	}
	return kids
}

// check holds what was seen against what is promised.
func (s *soak) check(r loadtest.Report, kids int) {
	s.t.Helper()
	if n := r.Failed(); n > 0 || requestsOf(r) == 0 {
		s.t.Errorf("%s: %d of %d requests failed: %v", s.mode, n, requestsOf(r), r.Failures)
	}
	if s.logouts(r) == 0 || r.Held == 0 && *soakFor > time.Minute {
		s.t.Errorf("%s: %d logouts, and %d questions about them later: too few to say anything", s.mode, s.logouts(r), r.Held)
	}
	for _, f := range r.Refusals {
		if f.Accepted > 0 || f.Late.Max > 1000*5.1 {
			s.t.Errorf("%s: %s accepted %d tokens after their logout, and refused the last after %v ms", s.mode, f.Verifier, f.Accepted, f.Late.Max)
		}
	}
	if least := int(*soakFor / (20 * time.Second)); kids-1 < least { // every 5 s, and later after restarts
		s.t.Errorf("%s: %d keys, so keys did not rotate", s.mode, kids)
	}
}

func (s *soak) logouts(r loadtest.Report) int64 {
	for _, o := range r.Operations {
		if o.Name == loadtest.Logout.String() {
			return o.Outcomes["ok"]
		}
	}
	return 0
}

func requestsOf(r loadtest.Report) (n int64) {
	for _, o := range r.Operations {
		n += o.Requests
	}
	return n
}

// soakText is the page with its rows.
func soakText(t *testing.T, when time.Time, rows []string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/soak.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	system, err := exec.Command("uname", "-sm").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(
		"{{when}}", when.UTC().Format("2 January 2006")+", "+strings.TrimSpace(string(system)), "{{rows}}", strings.Join(rows, "\n"),
	).Replace(string(text))
}

// withoutRows is a page without what is measured.
func withoutRows(page string) string {
	page = regexp.MustCompile(`(?m)^\| (embedded|two on Redis) \|.*\n`).ReplaceAllString(page, "")
	return regexp.MustCompile(`(?m)^Last run on .*$`).ReplaceAllString(page, "")
}
