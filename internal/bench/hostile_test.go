package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/authd-project/authd/keys/hostileissuer"
)

var (
	hostilePage = flag.String("hostile.page", "", "folder in which to write hostile-issuers.md, which takes several minutes")
	hostilePlay = flag.String("hostile.play", "", "client and scenario to play, for a process of its own; the outcome goes to -hostile.out")
	hostileOut  = flag.String("hostile.out", "", "file for the outcome of -hostile.play")
)

const hostilePageName = "hostile-issuers.md"

// TestTriedClientsWork tells that each client is set up well: with an honest issuer it does what it must.
func TestTriedClientsWork(t *testing.T) {
	for _, c := range allTried {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o, err := hostileissuer.Scenarios()[0].Run(t.Context(), hostileissuer.Loopback(), c.start)
			if err != nil || !o.Passed() {
				t.Errorf("%s, %v", o, err)
			}
		})
	}
}

// TestHostilePage compares the page with the scenarios, the clients and their versions of now. What they did is not judged
// again, unless a page is asked for.
func TestHostilePage(t *testing.T) {
	if *hostilePlay != "" {
		playAlone(t)
		return
	}
	outcomes := map[string][]hostileissuer.Outcome{}
	if *hostilePage != "" {
		for _, c := range allTried {
			outcomes[c.name] = tryClient(t, c)
		}
		file := filepath.Join(*hostilePage, hostilePageName)
		if err := os.WriteFile(file, []byte(hostilePageOf(t, outcomes)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page := read(t, docs, hostilePageName)
	if want, got := rows(hostilePageOf(t, outcomes)), rows(page); !slices.Equal(want, got) {
		t.Errorf("docs/%s was written by another kit; write it again on a quiet machine: make issuers\n%s",
			hostilePageName, difference(want, got))
	}
	versions, head := versionsOf(t), "| scenario |"
	for _, c := range allTried {
		head += " " + c.name + " |"
		if name := strings.TrimSpace(c.name + " " + versions[c.module]); !strings.Contains(page, "| "+name+" |") {
			t.Errorf("docs/%s does not tell of %s", hostilePageName, name)
		}
	}
	if !strings.Contains(page, head) {
		t.Errorf("docs/%s has other columns than %s", hostilePageName, head)
	}
}

// tryClient plays all scenarios, a few at a time: most of their time is waiting.
func tryClient(t *testing.T, c tried) []hostileissuer.Outcome {
	t.Helper()
	outcomes, folder := make([]hostileissuer.Outcome, len(hostileissuer.Scenarios())), t.TempDir()
	workers, ctx := errgroup.WithContext(t.Context())
	workers.SetLimit(5)
	for i, s := range hostileissuer.Scenarios() {
		workers.Go(func() (err error) {
			outcomes[i], err = playInChild(ctx, c, s, filepath.Join(folder, strconv.Itoa(i)))
			t.Logf("%s: %s: %s", c.name, s.Name, outcomes[i])
			return err
		})
	}
	if err := workers.Wait(); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return outcomes
}

// playInChild plays a scenario in a process of its own, as some clients do not survive it.
func playInChild(ctx context.Context, c tried, s hostileissuer.Scenario, out string) (hostileissuer.Outcome, error) {
	o := hostileissuer.Outcome{Scenario: s}
	self, err := os.Executable()
	if err != nil {
		return o, err
	}
	cmd := exec.CommandContext(ctx, self, "-test.run=^TestHostilePage$", "-test.timeout=5m", "-hostile.play="+c.name+"/"+s.Name, "-hostile.out="+out)
	said, failed := cmd.CombinedOutput()
	if failed != nil {
		if _, cause, ok := strings.Cut(string(said), "panic: "); ok {
			cause, _, _ = strings.Cut(cause, "\n")
			o.Fault = "the process died of a panic: " + cause
			return o, nil
		}
		return o, fmt.Errorf("%w: %s", failed, said)
	}
	text, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	o.Scenario = s // with what JSON does not have
	return o, err
}

// playAlone is the child of playInChild.
func playAlone(t *testing.T) {
	client, scenario, _ := strings.Cut(*hostilePlay, "/")
	for _, c := range allTried {
		for _, s := range hostileissuer.Scenarios() {
			if c.name != client || s.Name != scenario {
				continue
			}
			o, err := s.Run(t.Context(), hostileissuer.Loopback(), c.start)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(o)
			if err == nil {
				err = os.WriteFile(*hostileOut, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("nothing to play: %q", *hostilePlay)
}

func hostilePageOf(t *testing.T, outcomes map[string][]hostileissuer.Outcome) string {
	t.Helper()
	clients := table{columns: []string{"client", "how it is set up", "by design and by default"}}
	results, scenarios := table{columns: []string{"scenario"}}, table{columns: []string{"scenario", "the issuer", "a good client"}}
	score := []string{"**passed, of all**"}
	versions := versionsOf(t)
	for _, c := range allTried {
		clients.rows = append(clients.rows, []string{strings.TrimSpace(c.name + " " + versions[c.module]), c.setUp, c.design})
		results.columns = append(results.columns, c.name)
		passed := 0
		for _, o := range outcomes[c.name] {
			if o.Passed() {
				passed++
			}
		}
		score = append(score, fmt.Sprintf("**%d of %d**", passed, len(outcomes[c.name])))
	}
	for i, s := range hostileissuer.Scenarios() {
		row := []string{s.Name}
		for _, c := range allTried {
			said := "not tried"
			if all := outcomes[c.name]; all != nil {
				said = cell(all[i])
			}
			row = append(row, said)
		}
		results.rows = append(results.rows, row)
		scenarios.rows = append(scenarios.rows, []string{s.Name, s.Issuer, s.Client})
	}
	results.rows = append(results.rows, score)
	return fmt.Sprintf(hostilePageText, time.Now().UTC().Format("2 January 2006"), results.markdown(),
		leftAligned(clients), leftAligned(scenarios))
}

func cell(o hostileissuer.Outcome) string {
	verdict, told, _ := strings.Cut(o.String(), ": ")
	if verdict == "passed" {
		return "yes, " + told
	}
	return "**no**, " + told
}

func leftAligned(t table) string { return strings.ReplaceAll(t.markdown(), "---:", "---") }

// versionsOf returns the versions of the clients' modules by their paths.
func versionsOf(t *testing.T) map[string]string {
	t.Helper()
	args := []string{"list", "-m", "-json"}
	for _, c := range allTried {
		args = append(args, c.module)
	}
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var m struct {
			Path, Version string
			Replace       *struct{}
		}
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Replace == nil { // this authd has no version yet
			versions[m.Path] = m.Version
		}
	}
	return versions
}

const hostilePageText = `# JWKS clients against hostile issuers

What JWKS clients do when the issuer misbehaves, or somebody floods them with tokens. The kit is
[keys/hostileissuer](../keys/hostileissuer), which you can import to try a verifier of your own; its package comment
says how. This page is written by one run of it: ` + "`make issuers`" + `.

Measured on %s, over real connections on loopback.

%s

"yes" means that the client did all that the last table asks of a good one, followed by the number that tells most about it; "no" is followed by what it did instead. Requests are
all that the issuer got, and a wait is the longest for one token, whatever the answer.

## How to read it fairly

Every client was told the same short times wherever it can be told one: a refresh every second, one fetch for unknown keys
a second, 2 s for a fetch, 1 s for a request to wait, and 12 s as the greatest age of a key. An outage lasts 4 s, which is
longer than a refresh: with the defaults of the clients that is an outage of minutes to hours, and what takes seconds here
then takes as much longer. What is judged is generous: a second for what should take no time, five for an answer, ten for a
change to be seen, 25 requests a second. Each client plays each scenario in a process of its own.

Not every "no" is a defect. A client may leave something out by design, or leave it to the http.Client that
it is given (redirects, for instance, which net/http follows unless told otherwise), and a library for stable issuers need not
survive all this. The table of clients says so, and what the defaults are. The authors of the kit are those of
authd, and authd was changed where the kit found it wanting (an ETag that never changes); the scenarios are listed below so
that everybody can judge whether they ask for what matters to them.

%s

## The scenarios

%s
`
