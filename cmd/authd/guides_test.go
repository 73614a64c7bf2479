package main_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// The commands of docs/operations.md print what it says.
func TestOperationsTranscript(t *testing.T) {
	t.Parallel()
	public, admin := freePorts(t), freePorts(t)
	places := strings.NewReplacer("127.0.0.1:6379", testenv.Redis(t), "127.0.0.1:808", public, "127.0.0.1:909", admin)
	docs.Shell{Env: path(), Places: places}.Run(t, docs.Steps(t, "docs/operations.md"))
}

// path is the environment of somebody who has installed authd.
func path() []string {
	return []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")}
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
	loop := docs.Text(t, "docs/elector.md", "sh", 1)
	words := strings.Fields(placed(t, docs.Text(t, "docs/elector.md", "sh", 0), "redis://redis:6379", "redis://"+testenv.Redis(t)))
	if strings.Join(words[:2], " ") != "authd elector" {
		t.Fatalf("the page runs %q", words)
	}
	works := map[*sidecar]string{} // file that grows while the loop beside works
	var sidecars []*sidecar
	for _, name := range []string{"a", "b"} {
		s := startElector(t, name, append(words[2:], "--election-lease", lease.String())...)
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
	addr := testenv.Redis(t)
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	if err := admin.Do(t.Context(), documentedRights(t)["authd"]...).Err(); err != nil {
		t.Fatal(err)
	}
	r := startReplicas(t, 3, "--redis", "redis://authd:secret@"+addr)
	checkReplicas(t, r)
	denied := admin.Do(t.Context(), "ACL", "LOG").Val()
	if entries, ok := denied.([]any); !ok || len(entries) > 0 {
		t.Errorf("authd was denied: %v", denied)
	}
}

// documentedRights are the commands that give the users of docs/redis.md their rights, and the password "secret".
func documentedRights(t *testing.T) map[string][]any {
	t.Helper()
	users := map[string][]any{}
	for _, line := range []string{docs.File(t, "docs/redis.md", "authd.acl"), docs.File(t, "docs/redis.md", "verifier.acl")} {
		words := strings.Fields(strings.Replace(line, ">PASSWORD", ">secret", 1)) // user NAME and what it may
		command := []any{"ACL", "SETUSER", words[1], "reset"}
		for _, right := range words[2:] {
			command = append(command, right)
		}
		users[words[1]] = command
	}
	return users
}
