package main

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/statuslist"
	statusbolt "github.com/authd-project/authd/statuslist/boltstore"
	statusredis "github.com/authd-project/authd/statuslist/redisstore"
	"github.com/authd-project/authd/token"
)

// StatusListConfig says whether tokens have a place in a status list.
type StatusListConfig struct {
	StatusLists    bool
	StatusListTTL  time.Duration
	StatusListSize int
}

func (c *StatusListConfig) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&c.StatusLists, "status-lists", false, "give each access token a place in a Token Status List, for verifiers that go by those")
	fs.DurationVar(&c.StatusListTTL, "status-list-ttl", 0, "how long verifiers may keep a status list, in whole seconds; about how late they notice a logout (default: 1m, less if access-ttl is short)")
	fs.IntVar(&c.StatusListSize, "status-list-size", statuslist.DefaultSize, "how many tokens one status list has places for")
}

// complete fills in what follows from the life of tokens: a list is of use for three times its ttl, and no longer than
// its key is kept.
func (c *StatusListConfig) complete(accessTTL time.Duration) {
	if c.StatusListTTL == 0 {
		c.StatusListTTL = max(min(time.Minute, (accessTTL/3).Truncate(time.Second)), time.Second)
	}
}

func (c *StatusListConfig) validate(accessTTL time.Duration) []error {
	if !c.StatusLists {
		return nil
	}
	return []error{
		require(c.StatusListTTL >= time.Second && c.StatusListTTL <= accessTTL && c.StatusListTTL%time.Second == 0,
			"status-list-ttl %v: must be whole seconds, from 1s to access-ttl %v", c.StatusListTTL, accessTTL),
		require(c.StatusListSize >= 1000 && c.StatusListSize <= 1<<26,
			"status-list-size %d: must be from 1000, as a list hides one token among many, to %d", c.StatusListSize, 1<<26),
	}
}

// listLives is for how many times its ttl a list is of use: so long verifiers get by without authd.
const listLives = 3

// openStatusLists returns what gives new tokens their places; nil where there are none.
func (a *app) openStatusLists(issuer string, file *boltfile.File) (token.StatusAllocator, error) {
	if !a.cfg.StatusLists {
		return nil, nil //nolint:nilnil // tokens without a status are what is wanted then
	}
	register, err := a.openStatusRegister(file)
	if err != nil {
		return nil, err
	}
	uri := issuer + "/v1/statuslists"
	period := a.cfg.AccessTTL.Truncate(time.Second)
	a.statusLists, err = statuslist.NewPublisher(statuslist.PublisherConfig{
		Register: register, Revocations: a.mirror, Keys: a.view, URI: uri, Period: period, TokenLife: a.tokenLife, Leeway: token.DefaultLeeway,
		TTL: a.cfg.StatusListTTL, Life: min(listLives*a.cfg.StatusListTTL, a.cfg.AccessTTL), Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	return statuslist.NewAllocator(statuslist.AllocatorConfig{
		Register: register, URI: uri, Period: period, Size: a.cfg.StatusListSize, Log: a.log,
	})
}

func (a *app) openStatusRegister(file *boltfile.File) (statuslist.Register, error) {
	if a.cfg.Redis == "" {
		return statusbolt.Open(file, nil)
	}
	client, err := a.connections.redis()
	if err != nil {
		return nil, err
	}
	return statusredis.New(statusredis.Config{Client: client, Replicas: a.cfg.RedisReplicas})
}
