package main_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
)

// The commands of docs/operations.md print what it says.
func TestOperationsTranscript(t *testing.T) {
	t.Parallel()
	public, admin := freePorts(t), freePorts(t)
	places := strings.NewReplacer("127.0.0.1:6379", testenv.Redis(t), "127.0.0.1:808", public, "127.0.0.1:909", admin)
	const separator = "--- end of step ---\n"
	steps := transcript(t, "../../docs/operations.md")
	script := "trap 'kill $(jobs -p)' EXIT\n"
	for _, s := range steps {
		script += places.Replace(s.command) + "\nprintf '\\n" + strings.ReplaceAll(separator, "\n", `\n`) + "'\n"
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+cmd.Dir)
	out, err := cmd.Output()
	if err != nil {
		logs, _ := exec.Command("sh", "-c", "tail "+cmd.Dir+"/log-*").Output()
		t.Fatalf("%v\n%s\n%s", err, out, logs)
	}
	printed := strings.Split(string(out), separator)
	for i, s := range steps {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(places.Replace(s.output)), "…", ".*") + "$"
		if got := strings.TrimSpace(printed[i]); !regexp.MustCompile(pattern).MatchString(got) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s", s.command, got, s.output)
		}
	}
}

// freePorts returns an address without its last digit, for which 1, 2 and 3 are free.
func freePorts(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 2000+rand.N(1200))
		free := true
		for n := 1; n <= 3 && free; n++ {
			l, err := net.Listen("tcp", fmt.Sprint(address, n))
			if free = err == nil; free {
				l.Close()
			}
		}
		if free {
			return address
		}
	}
	t.Fatal("no free ports")
	return ""
}

// The shell loop of docs/elector.md works where its elector leads, and stops where it does not.
func TestElectorGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/elector.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "<!-- A test runs this. -->\n```sh\n")
	loop, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatal("docs/elector.md has no loop")
	}
	b := backend{"redis", []string{"--redis", "redis://" + testenv.Redis(t)}}
	works := map[*sidecar]string{} // file that grows while the loop beside works
	var sidecars []*sidecar
	for _, name := range []string{"a", "b"} {
		s := startSidecar(t, b, name, "--election-lease", lease.String())
		sidecars = append(sidecars, s)
		dir := t.TempDir()
		works[s] = filepath.Join(dir, "done")
		if err := os.WriteFile(filepath.Join(dir, "one-small-piece-of-work"), []byte("#!/bin/sh\necho x >>done\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(loop, "http://127.0.0.1:4040", s.URL))
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended by then
	}
	size := func(s *sidecar) int64 {
		info, err := os.Stat(works[s])
		if err != nil {
			return 0
		}
		return info.Size()
	}
	leader := awaitSidecar(t, sidecars)
	other := sidecars[0]
	if other == leader {
		other = sidecars[1]
	}
	until(t, "work beside the leader", func() bool { return size(leader) > 4 })
	if n := size(other); n != 0 {
		t.Errorf("work was done where nobody leads: %d bytes", n)
	}
	leader.kill()
	until(t, "work beside the next leader", func() bool { return size(other) > 4 })
}

// An authd can do all it must with the rights that docs/redis.md lists.
func TestRedisRights(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^user (authd on >)PASSWORD (.*)$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("docs/redis.md lists no rights of authd")
	}
	addr := testenv.Redis(t)
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	rules := []any{"ACL", "SETUSER"}
	for _, rule := range strings.Fields(m[1] + "secret " + m[2]) {
		rules = append(rules, rule)
	}
	if err := admin.Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
	r := startReplicas(t, 3, "--redis", "redis://authd:secret@"+addr)
	checkReplicas(t, r)
	denied := admin.Do(t.Context(), "ACL", "LOG").Val()
	if entries, ok := denied.([]any); !ok || len(entries) > 0 {
		t.Errorf("authd was denied: %v", denied)
	}
}
