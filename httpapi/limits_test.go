package httpapi_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/ratelimit"
	"github.com/authd-project/authd/ratelimit/redislimit"
	"github.com/authd-project/authd/session"
)

// redisPatience is generous, so that a busy machine is not taken for a broken server.
const redisPatience = 10 * time.Second

// limitStore is where limits are kept.
type limitStore interface {
	limiter(name string, p ratelimit.Policy) (ratelimit.Limiter, error)
	addresses() (ratelimit.KnownAddresses, error)
}

// memoryLimits keeps each limit for itself, as a single server does.
type memoryLimits struct{}

func (memoryLimits) limiter(_ string, p ratelimit.Policy) (ratelimit.Limiter, error) {
	return ratelimit.NewMemory(ratelimit.MemoryConfig{Policy: p})
}

func (memoryLimits) addresses() (ratelimit.KnownAddresses, error) {
	return ratelimit.NewMemoryAddresses(ratelimit.MemoryAddressesConfig{})
}

// redisLimits keeps them in Redis, where several servers share them.
type redisLimits struct{ client *redis.Client }

func (r redisLimits) limiter(name string, p ratelimit.Policy) (ratelimit.Limiter, error) {
	return redislimit.New(redislimit.Config{Client: r.client, Name: name, Policy: p, Timeout: redisPatience})
}

func (r redisLimits) addresses() (ratelimit.KnownAddresses, error) {
	return redislimit.NewAddresses(redislimit.AddressesConfig{Client: r.client, Timeout: redisPatience})
}

func newLogins(t testing.TB, s limitStore) *ratelimit.LoginGuard {
	t.Helper()
	known, err := s.addresses()
	must(t, err)
	_, alone := s.(memoryLimits)
	g, err := ratelimit.NewLoginGuard(ratelimit.LoginConfig{Open: s.limiter, Known: known, Shared: !alone})
	must(t, err)
	return g
}

func newLimiter(t testing.TB, s limitStore, name, policy string) ratelimit.Limiter {
	t.Helper()
	p, err := ratelimit.ParsePolicy(policy)
	must(t, err)
	l, err := s.limiter(name, p)
	must(t, err)
	return l
}

func loginOfAlice() session.LoginRequest {
	return session.LoginRequest{Username: aliceName, Password: alicePassword}
}
