package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/dpop"
	"github.com/authd-project/authd/dpop/redisreplay"
)

// DPoPConfig is about the proofs of clients whose tokens are bound to a key.
type DPoPConfig struct {
	DPoPNonces bool
	DPoPMaxAge time.Duration
}

func (c *DPoPConfig) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&c.DPoPNonces, "dpop-nonces", false, "ask for a nonce of the server in each DPoP proof")
	fs.DurationVar(&c.DPoPMaxAge, "dpop-max-age", dpop.DefaultMaxAge, "how long a DPoP proof is good, and for so long it is remembered that it was used")
}

func (c *DPoPConfig) validate() error {
	return require(c.DPoPMaxAge >= time.Second && c.DPoPMaxAge <= time.Hour && c.DPoPMaxAge%time.Second == 0,
		"dpop-max-age %v: must be whole seconds, from 1s to 1h", c.DPoPMaxAge)
}

// openProofs makes what checks proofs. Those that were used are remembered where sessions are: what one authd has seen, the
// others that share its Redis refuse.
func (a *app) openProofs() (*dpop.Verifier, error) {
	c := dpop.VerifierConfig{Policy: dpop.Policy{MaxAge: a.cfg.DPoPMaxAge}}
	if a.cfg.DPoPNonces {
		c.Nonces = dpop.NewNonces(a.view, 0)
	}
	if a.cfg.Redis == "" {
		c.Replays = dpop.NewMemory(0, nil)
		return dpop.NewVerifier(c)
	}
	client, err := a.connections.redis()
	if err != nil {
		return nil, err
	}
	c.Replays = redisreplay.New(client, 0)
	return dpop.NewVerifier(c)
}
