package main_test

import (
	"context"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// docs/operations.md and docs/elector.md say what tests with -failovers 20 -lease 5s measured.
var (
	failovers = flag.Int("failovers", 1, "how often to kill a leader where the time until the next one is measured")
	lease     = flag.Duration("lease", 3*time.Second, "the setting election-lease in tests of several processes")
)

// logTimes tells how long something took that was done several times.
func logTimes(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	n := len(took)
	t.Logf("%s, lease %v: n %d, min %v, median %v, max %v", what, *lease, n, took[0].Round(time.Millisecond),
		((took[(n-1)/2] + took[n/2]) / 2).Round(time.Millisecond), took[n-1].Round(time.Millisecond))
}

// backend is a system that elects: its name, and the flags that lead there.
type backend struct {
	name  string
	flags []string
}

// sidecar is a running `authd elector`.
type sidecar struct {
	*process
	URL, name string
}

func startSidecar(t *testing.T, b backend, name string, args ...string) *sidecar {
	t.Helper()
	args = append([]string{"--backend", b.name}, append(b.flags, args...)...)
	if !slices.Contains(args, "--election") {
		args = append(args, "--election", "authd-leader") // which is the name of a Lease, too
	}
	return startElector(t, name, args...)
}

func startElector(t *testing.T, name string, args ...string) *sidecar {
	t.Helper()
	args = append([]string{"elector", "--http", "127.0.0.1:0", "--identity", name}, args...)
	p := startProcess(t, regexp.MustCompile(`(?m)^elector of .* on http://\S+$`), "authd", args...)
	return &sidecar{process: p, name: name, URL: p.out.find(t, `on (http://\S+)`)}
}

func (s *sidecar) sight(t *testing.T) (l sight) {
	t.Helper()
	if status := getJSON(t, s.URL, &l); status != http.StatusOK {
		t.Fatalf("elector %s: %d", s.name, status)
	}
	return l
}

// awaitSidecar waits until one of them leads and all name it.
func awaitSidecar(t *testing.T, sidecars []*sidecar) (leader *sidecar) {
	t.Helper()
	until(t, "a leader that all name", func() bool {
		leader = nil
		names := map[string]bool{}
		for _, s := range sidecars {
			l := s.sight(t)
			names[l.Name] = true
			if l.Self {
				if leader != nil {
					t.Fatal("two lead at once")
				}
				leader = s
			}
		}
		return leader != nil && len(names) == 1 && names[leader.name]
	})
	return leader
}

func TestElectorOnRedis(t *testing.T) {
	t.Parallel()
	checkSidecars(t, backend{"redis", []string{"--redis", "redis://" + testenv.Redis(t)}})
}

func TestElectorOnEtcd(t *testing.T) {
	t.Parallel()
	checkSidecars(t, backend{"etcd", []string{"--etcd", "http://" + testenv.Etcd(t).Addr, "--etcd-prefix", "tests/"}})
}

func TestElectorOnKubernetes(t *testing.T) {
	t.Parallel()
	checkSidecars(t, kubernetes(t))
}

// checkSidecars has three sidecars, the leader of which dies without notice or ends in order.
func checkSidecars(t *testing.T, b backend) {
	t.Helper()
	var sidecars []*sidecar
	for _, name := range []string{"a", "b", "c"} {
		sidecars = append(sidecars, startSidecar(t, b, name, "--election-lease", lease.String()))
	}
	leader := awaitSidecar(t, sidecars)
	for _, s := range sidecars {
		var is struct{ IsLeader bool }
		if status := getJSON(t, s.URL+"/isLeader", &is); status != http.StatusOK || is.IsLeader != (s == leader) {
			t.Errorf("%s: /isLeader answers %d, %v", s.name, status, is.IsLeader)
		}
		var live struct{ Status string }
		if status := getJSON(t, s.URL+"/livez", &live); status != http.StatusOK || live.Status != "live" {
			t.Errorf("%s: /livez answers %d, %q", s.name, status, live.Status)
		}
		if l := s.sight(t); l.ValidForMS <= 0 || l.ValidForMS > lease.Milliseconds() {
			t.Errorf("%s: the sight is valid for %d ms", s.name, l.ValidForMS)
		}
	}
	var killed, ended []time.Duration
	for range *failovers {
		for signal, took := range map[syscall.Signal]*[]time.Duration{syscall.SIGKILL: &killed, syscall.SIGTERM: &ended} {
			leader := awaitSidecar(t, sidecars)
			sidecars = slices.DeleteFunc(sidecars, func(s *sidecar) bool { return s == leader })
			began := time.Now()
			_ = leader.cmd.Process.Signal(signal)
			until(t, "the next leader", func() bool {
				return slices.ContainsFunc(sidecars, func(s *sidecar) bool { return s.sight(t).Self })
			})
			*took = append(*took, time.Since(began))
			if <-leader.done; signal == syscall.SIGTERM && leader.err != nil {
				t.Errorf("%s ended with %v", leader.name, leader.err)
			}
			sidecars = append(sidecars, startSidecar(t, b, leader.name, "--election-lease", lease.String()))
		}
	}
	logTimes(t, "killed to next leader", killed)
	logTimes(t, "ended in order to next leader", ended)
}

// Who cannot reach the election any more names nobody, first of all not itself.
func TestElectorForgets(t *testing.T) {
	t.Parallel()
	server := testenv.NewRedis(t)
	s := startSidecar(t, backend{"redis", []string{"--redis", "redis://" + server.Addr}}, "a", "--election-lease", "3s")
	awaitSidecar(t, []*sidecar{s})
	server.Kill()
	until(t, "an empty name", func() bool {
		l := s.sight(t)
		return l.Name == "" && !l.Self && l.ValidForMS == 0
	})
	server.Restart()
	awaitSidecar(t, []*sidecar{s})
}

// While a sidecar hands over, it says that it does not lead, and still keeps others out.
func TestElectorHandsOver(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	s := startSidecar(t, backend{"redis", []string{"--redis", "redis://" + addr}}, "a", "--election", "jobs", "--hand-over", "1m")
	awaitSidecar(t, []*sidecar{s})
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	until(t, "an answer that nobody leads", func() bool { l := s.sight(t); return !l.Self && l.Name == "" })
	if holder := client.Get(t.Context(), "authd:election:{jobs}").Val(); !strings.HasPrefix(holder, "a\n") {
		t.Errorf("the lease is %q's, want a's", holder)
	}
}

func TestElectorSettings(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"election: required":         {"--backend=redis", "--redis=redis://127.0.0.1:1"},
		`backend "solo"`:             {"--election=x", "--backend=solo"},
		"redis: required":            {"--election=x", "--backend=redis"},
		"etcd: required":             {"--election=x", "--backend=etcd"},
		"kubeconfig":                 {"--election=x", "--backend=kubernetes"},
		"http \"4040\"":              {"--election=x", "--backend=redis", "--redis=redis://127.0.0.1:1", "--http=4040"},
		"election-lease":             {"--election=x", "--backend=redis", "--redis=redis://127.0.0.1:1", "--election-lease=1s"},
		"identity: required":         {"--election=x", "--backend=redis", "--redis=redis://127.0.0.1:1", "--identity="},
		"hand-over -1s: must not be": {"--election=x", "--backend=redis", "--redis=redis://127.0.0.1:1", "--hand-over=-1s"},
	} {
		out, err := command(t.Context(), "", append([]string{"elector", "--http=127.0.0.1:0"}, args...)...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("authd elector %q: %v, and does not say %q:\n%s", args, err, want, out)
		}
	}
}

// The command that docs/elector.md builds runs a program where its elector leads.
func TestLeaderJobGuide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build, run, _ := strings.Cut(docs.Text(t, "docs/elector.md", "sh", 2), "\n")
	words := strings.Fields(placed(t, build, "-o leaderjob", "-o "+filepath.Join(dir, "leaderjob")))
	cmd := exec.CommandContext(t.Context(), words[0], words[1:]...)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	done := filepath.Join(dir, "done")
	job := "#!/bin/sh\n[ \"$*\" = --forever ] || exit 1\ntrap 'exit 0' TERM\nwhile sleep 0.05 && kill -0 $PPID; do echo x >>" + done + "; done\n"
	if err := os.WriteFile(filepath.Join(dir, "make-reports"), []byte(job), 0o700); err != nil {
		t.Fatal(err)
	}
	b := backend{"redis", []string{"--redis", "redis://" + testenv.Redis(t)}}
	s := startSidecar(t, b, "a", "--election-lease", lease.String())
	ctx, stop := context.WithCancel(t.Context())
	leader := exec.CommandContext(ctx, "bash", "-c", placed(t, "exec "+run, "http://127.0.0.1:4040", s.URL))
	leader.Dir = dir
	leader.Cancel = func() error { return leader.Process.Signal(syscall.SIGTERM) }
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = leader.Wait() })
	until(t, "the job to run", func() bool {
		info, err := os.Stat(done)
		return err == nil && info.Size() > 4
	})
}

// A job that runs where a sidecar leads moves with the leadership, whether the sidecar dies or ends.
func TestLeaderJob(t *testing.T) {
	t.Parallel()
	b := backend{"redis", []string{"--redis", "redis://" + testenv.Redis(t)}}
	log := filepath.Join(t.TempDir(), "log")
	var sidecars []*sidecar
	for _, name := range []string{"a", "b", "c"} {
		s := startSidecar(t, b, name, "--election", "reports", "--election-lease", lease.String())
		sidecars = append(sidecars, s)
		startProcess(t, regexp.MustCompile("asking"), "leaderjob", "-elector", s.URL, "--",
			"sh", "-c", "while sleep 0.05 && kill -0 $PPID; do echo "+name+" >>"+log+"; done") // ends with its parent
	}
	runs := func() (name string) { // who wrote the last line
		data, _ := os.ReadFile(log)
		lines := strings.Fields(string(data))
		if len(lines) == 0 {
			return ""
		}
		return lines[len(lines)-1]
	}
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		leader := awaitSidecar(t, sidecars)
		until(t, "the job beside the leader", func() bool { return runs() == leader.name })
		_ = leader.cmd.Process.Signal(end)
		sidecars = slices.DeleteFunc(sidecars, func(s *sidecar) bool { return s == leader })
		ended := time.Now()
		until(t, "the job elsewhere", func() bool { name := runs(); return name != "" && name != leader.name })
		t.Logf("lease %v: after %v the job ran elsewhere, %v after the signal", *lease, end, time.Since(ended))
	}
}
