package main_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// R5: an authd that starts while the revocation set is lost cannot know which ends of sessions were lost with it. It
// refreshes nobody, and changes nothing, until the operator accepts the loss in the way that docs/redis.md says.
func TestNoRefreshWhileRevocationsAreLost(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	data := t.TempDir()
	args := []string{"--demo", "--redis", "redis://" + addr, "--kek-file", newKEK(t), "--issuer", "http://127.0.0.1:1"}
	s := serve(t, data, args...)
	g := s.login(t, demoUser, demoPassword)
	beats := func() int { n, _ := client.HGet(t.Context(), "{authd:rev}:meta", "beat").Int(); return n }
	for {
		was := beats()
		until(t, "some heartbeats", func() bool { return beats() > was+2 })
		s.kill()
		if remembersEpoch(t, data) {
			break
		}
		s = serve(t, data, args...)
	}
	keys := client.Keys(t.Context(), "{authd:rev}:*").Val()
	if err := client.Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}

	args = append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, args...)
	p := startProcess(t, regexp.MustCompile(`admin API\s+http`), "authd", args...)
	s = &server{process: p, URL: p.out.find(t, `public API\s+(http://\S+)`), Data: data}
	record := func() string { return client.Get(t.Context(), "authd:s:{"+g.SessionID+"}").Val() }
	before := record()
	until(t, "a loss that nobody can repair", func() bool {
		if _, status := s.refresh(t, g.RefreshToken); status != http.StatusServiceUnavailable {
			t.Fatalf("a refresh is answered %d while nobody can tell whether the session has ended", status)
		}
		return client.HExists(t.Context(), "{authd:rev}:meta", "lost").Val()
	})
	if after := record(); after != before {
		t.Errorf("the session is now %q\nand was %q", after, before)
	}
	accept := loadAcceptCommand(t)
	if err := client.Do(t.Context(), accept...).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "a refresh", func() bool {
		_, status := s.refresh(t, g.RefreshToken)
		return status == http.StatusOK
	})
}

// remembersEpoch tells whether an authd that does not run will know that there was a revocation set.
func remembersEpoch(t *testing.T, data string) (remembers bool) {
	t.Helper()
	file, err := boltfile.Open(filepath.Join(data, "authd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("authd"))
		remembers = b != nil && b.Get([]byte("revocation_epoch")) != nil
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return remembers
}

// loadAcceptCommand returns the command in docs/redis.md that accepts the loss.
func loadAcceptCommand(t *testing.T) (args []any) {
	t.Helper()
	for _, word := range strings.Fields(docs.Text(t, "docs/redis.md", "sh", 0))[1:] { // after redis-cli
		args = append(args, strings.Trim(word, "'"))
	}
	return args
}
