package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/statuslist/redisstore"
	"github.com/authd-project/authd/statuslist/registertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, options redis.Options) *redis.Client {
	t.Helper()
	options.ContextTimeoutEnabled = true
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func open(t *testing.T, client redis.UniversalClient) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(redisstore.Config{Client: client, Timeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Two clients are two authd: the suite has them take places in the same lists at once.
func TestConformance(t *testing.T) {
	addr := testenv.Redis(t)
	registertest.Run(t, func(t *testing.T) statuslist.Register {
		t.Helper()
		return open(t, connect(t, redis.Options{Addr: addr}))
	})
}

// The rights that the package comment lists are enough.
func TestRights(t *testing.T) {
	addr := testenv.Redis(t)
	admin := connect(t, redis.Options{Addr: addr})
	err := admin.Do(t.Context(), "ACL", "SETUSER", "authd", "on", ">secret", "~authd:l:*",
		"+eval", "+evalsha", "+exists", "+set", "+append", "+strlen", "+getrange", "+wait").Err()
	if err != nil {
		t.Fatal(err)
	}
	// Without HELLO and CLIENT, which the library does without when they are refused.
	s := open(t, connect(t, redis.Options{Addr: addr, Username: "authd", Password: "secret"}))
	id := statuslist.ListID{Ends: time.Now().Add(time.Hour).Unix()}
	if _, _, err := s.Append(t.Context(), id, statuslist.Header{Size: 10}, registertest.NoteOf(1)); err != nil {
		t.Fatal(err)
	}
	if _, total, _, err := s.Read(t.Context(), id, 0); err != nil || total != 1 {
		t.Errorf("%d notes, %v", total, err)
	}
}

// Redis deletes a list once it is dead.
func TestListsExpire(t *testing.T) {
	client := connect(t, redis.Options{Addr: testenv.Redis(t)})
	s := open(t, client)
	id := statuslist.ListID{Ends: time.Now().Add(time.Hour).Unix()}
	for i := range 2 {
		if _, _, err := s.Append(t.Context(), id, statuslist.Header{Size: 10}, registertest.NoteOf(i)); err != nil {
			t.Fatal(err)
		}
	}
	key := "authd:l:" + id.String()
	got, err := client.PExpireTime(t.Context(), key).Result()
	if err != nil || got.Milliseconds() != id.Dead().UnixMilli() {
		t.Errorf("expires at %v, %v; want %v", got, err, id.Dead().UnixMilli())
	}
}
