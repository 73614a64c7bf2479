package redisstore_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/redisstore"
)

// aclLine returns a line of docs/redis.md, ready for ACL SETUSER.
func aclLine(line string) []any {
	args := []any{"ACL", "SETUSER"}
	for _, word := range strings.Fields(strings.Replace(line, ">PASSWORD", ">secret", 1))[1:] {
		args = append(args, word)
	}
	return args
}

// rights are the lines of the page.
func rights(t *testing.T) map[string][]any {
	t.Helper()
	return map[string][]any{
		"authd":    aclLine(docs.File(t, "docs/redis.md", "authd.acl")),
		"verifier": aclLine(docs.File(t, "docs/redis.md", "verifier.acl")),
	}
}

// clusterRights are the rights that docs/redis.md adds for clusters.
func clusterRights(t *testing.T) (rules []any) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "In a cluster both need `")
	if !ok {
		t.Fatal("docs/redis.md has no rights for clusters")
	}
	rest, _, _ = strings.Cut(rest, "`")
	for _, rule := range strings.Fields(rest) {
		rules = append(rules, rule)
	}
	return rules
}

func connectAs(t *testing.T, addr, user string) *redis.Client {
	t.Helper()
	if err := connect(t, addr).Do(t.Context(), rights(t)[user]...).Err(); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{
		Addr: addr, Username: user, Password: "secret", ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The rights in docs/redis.md are enough for everything an authd and a service do, losses and replicas included.
func TestDocumentedRights(t *testing.T) {
	t.Parallel()
	primary := replicated(t)
	server := primary.Addr
	own := connectAs(t, server, "authd")
	a := startAuthd(t, redisstore.Config{Client: own, Memory: &memory{}, Replicas: 1})

	service := connectAs(t, server, "verifier")
	feed, err := redisstore.NewFeed(service, redisstore.FeedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := startMirror(t, feed)
	checker := newCheckerWith(t, service, redisstore.CheckerConfig{})
	for _, name := range names("session", 2) {
		e, claims := session(name)
		cutoff := revocation.Entry{
			Kind: revocation.Subject, ID: revocation.IDOf(revocation.Subject, name), NotBefore: claims.IssuedAt + 1, Expires: e.Expires,
		}
		if err := a.store.Add(t.Context(), e, cutoff); err != nil {
			t.Fatal(err)
		}
		eventually(t, "mirror that denies", func() bool { return denied(m, claims) })
		eventually(t, "mirror that accepts", func() bool { return m.Check(t.Context(), live) == nil })
		if !denied(checker, claims) {
			t.Error("the checker accepts what is revoked")
		}
		eventually(t, "checker that accepts", func() bool { return checker.Check(t.Context(), live) == nil })
		if err := a.store.Sweep(t.Context(), 0); err != nil {
			t.Errorf("sweeping: %v", err)
		}
		if err := connect(t, server).FlushAll(t.Context()).Err(); err != nil { // everything is begun again
			t.Fatal(err)
		}
	}
	eventually(t, "checker that denies what was written back", func() bool {
		_, claims := session("session0")
		return denied(checker, claims)
	})
	if err := service.HSet(t.Context(), "{authd:rev}:meta", "live", "x").Err(); err == nil {
		t.Error("a service can write")
	}
	eval := service.Eval(t.Context(), `return redis.call("DEL", KEYS[1])`, []string{"{authd:rev}:entries"})
	if eval.Err() == nil {
		t.Error("a service can write in a script")
	}
}

// replicated starts a server with one replica.
func replicated(t *testing.T) *testenv.RedisServer {
	t.Helper()
	primary, _ := replica(t)
	return primary
}

func replica(t *testing.T) (primary, replica *testenv.RedisServer) {
	t.Helper()
	primary = testenv.NewRedis(t)
	host, port, _ := strings.Cut(primary.Addr, ":")
	replica = testenv.NewRedis(t, "--replicaof", host, port, "--repl-diskless-sync-delay", "0")
	client := connect(t, primary.Addr)
	eventually(t, "replica", func() bool {
		return strings.Contains(client.Info(context.Background(), "replication").Val(), "state=online")
	})
	return primary, replica
}
