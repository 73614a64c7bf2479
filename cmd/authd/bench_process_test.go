package main_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/loadtest"
)

// benchArgs let a load test of s take seconds.
func benchArgs(s *server, more ...string) []string {
	return append([]string{
		"bench", "--url", s.URL, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"),
		"--warmup=200ms", "--duration=3s", "--sessions=30", "--connections=10", "--guards=2", "--quiet",
	}, more...)
}

// readReport returns what a load test wrote.
func readReport(t *testing.T, name string) (r loadtest.Report) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The load test does all it can at a real authd and a real service: each operation is answered, each logout holds
// everywhere, and nothing is left of it.
func TestBench(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	orders := startProcess(t, regexp.MustCompile(`listening on (\S+)`), "orders", "-issuer", s.URL, "-listen", "127.0.0.1:0")
	service := "http://" + orders.out.find(t, `listening on (\S+)`) + "/orders"
	dir := t.TempDir()
	jsonFile, svgFile := filepath.Join(dir, "run.json"), filepath.Join(dir, "run.svg")
	out := s.bench(t, benchArgs(s, "--demo", "--service", service, "--json", jsonFile, "--plot", svgFile, "--rate=60",
		"--mix", "login=2,refresh=10,verify=20,forward-auth=20,introspect=10,service=20,logout=2"))
	r := readReport(t, jsonFile)
	for _, name := range []string{"login", "refresh", "verify", "forward-auth", "introspect", "service", "logout"} {
		if !strings.Contains(out, name) {
			t.Errorf("the table has no %s:\n%s", name, out)
		}
	}
	for _, o := range r.Operations {
		if o.Outcomes["ok"] != o.Requests || o.Requests == 0 || o.Latency.P50 <= 0 || o.Latency.P99 < o.Latency.P50 {
			t.Errorf("%+v", o)
		}
	}
	logouts := r.Operations[len(r.Operations)-1].Requests
	heard := map[string]int64{"forward-auth": 1, "guards of the middleware": 2, "services": 1}
	for _, f := range r.Refusals {
		if f.Late.Count < logouts*heard[f.Verifier] || f.Accepted != 0 {
			t.Errorf("%s heard of %d of %d logouts", f.Verifier, f.Late.Count, logouts)
		}
	}
	if len(r.Operations) != 7 || len(r.Refusals) != 3 || r.ServerCPU <= 0 || len(r.Servers) != 1 || r.FeedBytes <= 0 {
		t.Errorf("%+v", r)
	}
	checkPicture(t, svgFile)
	if list := s.authd(t, "", "session", "list", demoUser); strings.Count(list, "\n") != 1 {
		t.Errorf("sessions are left:\n%s", list)
	}
}

// bench runs a load test that must not fail, and returns what it printed.
func (s *server) bench(t *testing.T, args []string) string {
	t.Helper()
	out, err := command(t.Context(), "", args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, secret := range []string{demoPassword, "demo-service-secret", "eyJ", "authd_rt_"} {
		if strings.Contains(out, secret) {
			t.Errorf("a secret was printed: %s", secret)
		}
	}
	return out
}

func checkPicture(t *testing.T, name string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

// Without --demo the accounts are made for it through the admin API, and removed again; a search for the knee says what it
// tried.
func TestBenchMakesAccounts(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	out := s.bench(t, benchArgs(s, "--users=2", "--knee", "--rate=5", "--knee-step=2", "--knee-most=10", "--duration=1s",
		"--max-p99=1m", "--max-login-p99=1m", "--max-errors=1"))
	if strings.Count(out, "yes\n") != 2 {
		t.Errorf("want two rates that were borne:\n%s", out)
	}
	if list := s.authd(t, "", "user", "list"); strings.Count(list, "\n") != 1 {
		t.Errorf("accounts are left:\n%s", list)
	}
}

// An interrupt ends a load test early; it says what it has, and ends what it began.
func TestBenchInterrupted(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	args := append(benchArgs(s, "--demo", "--duration=1h", "--rate=20"), "--quiet=false")
	p := startProcess(t, regexp.MustCompile(`measuring .* answered`), "authd", args...)
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	<-p.done
	if out := p.out.String(); p.err != nil || !strings.Contains(out, "Interrupted") || !strings.Contains(out, "forward-auth") {
		t.Errorf("%v\n%s", p.err, out)
	}
	if list := s.authd(t, "", "session", "list", demoUser); strings.Count(list, "\n") != 1 {
		t.Errorf("sessions are left:\n%s", list)
	}
}

// When a request fails that should not have, the exit code says so: here somebody else ends the sessions.
func TestBenchFails(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	args := append(benchArgs(s, "--demo", "--duration=1h", "--rate=20", "--mix=forward-auth=1", "--sessions=3"), "--quiet=false")
	p := startProcess(t, regexp.MustCompile(`measuring .* answered`), "authd", args...)
	s.authd(t, "", "session", "end", "--user", demoUser)
	until(t, "a refusal", func() bool {
		return strings.Contains(p.out.String(), "failed") && !regexp.MustCompile(`busy, 0 failed[^\n]*\n$`).MatchString(p.out.String())
	})
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	<-p.done
	var exit *exec.ExitError
	out := p.out.String()
	if !errors.As(p.err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "forward-auth: status 401 invalid_token") {
		t.Errorf("%v\n%s", p.err, out)
	}
}

// The load test of docs/capacity.md prints what the page says.
func TestBenchGuide(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	docs.Shell{
		Env:    append(path(), "AUTHD_DATA="+s.Data, "AUTHD_ADMIN_LISTEN="+strings.TrimPrefix(s.Admin, "http://")),
		Places: strings.NewReplacer("http://127.0.0.1:8080", s.URL),
	}.Run(t, docs.Steps(t, "docs/capacity.md"))
}

// Bad arguments are told by name, all at once, before anything is sent.
func TestBenchArguments(t *testing.T) {
	t.Parallel()
	accounts := filepath.Join(t.TempDir(), "accounts")
	if err := os.WriteFile(accounts, []byte("# who\nalice:geheim\nbob\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"OPERATION=WEIGHT":           {"--mix=dance=1"},
		"sessions would run out":     {"--mix=logout=1"},
		"rate: want more than 0":     {"--rate=0"},
		"arrivals \"x\"":             {"--arrivals=x"},
		"exclude each other":         {"--demo", "--accounts=x"},
		"go together":                {"--client-id=x"},
		"users 0":                    {"--users=0"},
		"duration must be above 0":   {"--duration=0s"},
		"a search wants":             {"--knee", "--knee-step=1"},
		"no such file":               {"--demo", "--json=/nowhere/run.json"},
		"--this-may-be-brought-down": {"--demo", "--url=https://auth.example.com"},
		"cannot connect":             {"--demo", "--url=http://127.0.0.1:1"},
		"line 3: want NAME":          {"--accounts", accounts},
		"its token:":                 {"--data=/nowhere"},
	} {
		out, err := command(t.Context(), "", append([]string{"bench", "--admin-listen=127.0.0.1:1"}, args...)...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, want) || strings.Contains(out, "geheim") {
			t.Errorf("%v: want %q, got %v\n%s", args, want, err, out)
		}
	}
}
