package redislimit

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/ratelimit"
)

//go:embed remember_address.lua
var rememberAddressSource string

//go:embed known_address.lua
var knownAddressSource string

// Addresses is [ratelimit.KnownAddresses] in Redis, under the keys authd:limit:known:{DIGEST}, where DIGEST is as in
// [Limiter]; the addresses are digests too.
type Addresses struct {
	server   server
	remember *redis.Script
	known    *redis.Script
}

// AddressesConfig configures [Addresses].
type AddressesConfig struct {
	Client  redis.UniversalClient // as in Config
	Timeout time.Duration         // for one call; default 500 ms
}

// NewAddresses does not talk to the server yet; it fails only for an invalid configuration.
func NewAddresses(c AddressesConfig) (*Addresses, error) {
	server, err := newServer(c.Client, c.Timeout)
	if err != nil {
		return nil, err
	}
	return &Addresses{
		server:   server,
		remember: redis.NewScript(rememberAddressSource),
		known:    redis.NewScript(knownAddressSource),
	}, nil
}

// Remember implements [ratelimit.KnownAddresses].
func (a *Addresses) Remember(ctx context.Context, account, address string) error {
	_, err := a.server.run(ctx, a.remember, addressesKey(account),
		digest(address), ratelimit.KnownFor.Milliseconds(), ratelimit.KnownPerAccount)
	return err
}

// Known implements [ratelimit.KnownAddresses].
func (a *Addresses) Known(ctx context.Context, account, address string) (time.Duration, bool, error) {
	cmd, err := a.server.run(ctx, a.known, addressesKey(account), digest(address), ratelimit.KnownFor.Milliseconds())
	if err != nil {
		return 0, false, err
	}
	ago, err := cmd.Int64()
	if err != nil {
		return 0, false, fmt.Errorf("%w: unexpected answer %v of a script in redis", ratelimit.ErrUnavailable, cmd.Val())
	}
	if ago < 0 {
		return 0, false, nil
	}
	return time.Duration(ago) * time.Millisecond, true, nil
}

func addressesKey(account string) string { return keyPrefix + "known:{" + digest(account) + "}" }
