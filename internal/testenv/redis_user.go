package testenv

import (
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// ConnectRedis connects to a server until the test ends, as its default user, who may do anything.
func ConnectRedis(t testing.TB, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// RedisDialing lets a test of leaks overlook what go-redis leaves behind when its server goes first: it sleeps for up to a
// second before it sees that its client is closed.
func RedisDialing() goleak.Option {
	return goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial")
}

// The user that GrantRedis makes.
const (
	RedisUser     = "authd"
	RedisPassword = "secret"
)

// RestrictedRedis connects as a user with only the rights that the comment of the package under test lists.
func RestrictedRedis(t testing.TB, addr string) *redis.Client {
	t.Helper()
	GrantRedis(t, ConnectRedis(t, addr))
	client := redis.NewClient(&redis.Options{
		Addr: addr, Username: RedisUser, Password: RedisPassword, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// GrantRedis makes the user, with the rights that the comment of the package under test lists in a line that begins with
// its keys, and with more.
func GrantRedis(t testing.TB, admin *redis.Client, more ...string) {
	t.Helper()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, found := strings.Cut(string(doc), "\n//\t~")
	if !found {
		t.Fatal("the package comment lists no rights")
	}
	line, _, _ = strings.Cut(line, "\n")
	rules := []any{"ACL", "SETUSER", RedisUser, "reset", "on", ">" + RedisPassword}
	for _, rule := range append(strings.Fields("~"+line), more...) {
		rules = append(rules, rule)
	}
	if err := admin.Do(t.Context(), rules...).Err(); err != nil {
		t.Fatal(err)
	}
}
