package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/election/etcdlock"
	"github.com/authd-project/authd/election/leaselock"
	"github.com/authd-project/authd/election/redislock"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	keysbolt "github.com/authd-project/authd/keys/boltstore"
	"github.com/authd-project/authd/keys/etcdstore"
	keysredis "github.com/authd-project/authd/keys/redisstore"
	"github.com/authd-project/authd/keys/secretstore"
)

// electionName is the election of those who keep a key ring, where a backend holds several.
const electionName = "authd"

// candidacy is one process's part in an election.
type candidacy struct {
	backend  string // solo, redis, etcd or kubernetes
	name     string // of the election, where a backend holds several
	lease    string // name of the Lease, for kubernetes
	identity string // of this process
	log      *slog.Logger
}

// openElection is where the setting "election" chooses.
func (c *connections) openElection(p candidacy) (election.Elector, error) {
	switch p.backend {
	case "solo":
		return election.NewSolo(p.identity, time.Now), nil
	case "redis":
		client, err := c.redisForElection()
		if err != nil {
			return nil, err
		}
		return redislock.New(redislock.Config{
			Client: client, Name: p.name, Identity: p.identity, Lease: c.cfg.ElectionLease, Logger: p.log,
		})
	case "etcd":
		client, err := c.etcd()
		if err != nil {
			return nil, err
		}
		return etcdlock.New(etcdlock.Config{
			Client: client, Name: p.name, Identity: p.identity, Lease: c.cfg.ElectionLease, Logger: p.log,
		})
	case "kubernetes":
		client, namespace, err := c.leases()
		if err != nil {
			return nil, err
		}
		return leaselock.New(leaselock.Config{
			Client: client, Namespace: namespace, Name: p.lease, Identity: p.identity, Lease: c.cfg.ElectionLease, Logger: p.log,
		})
	}
	return nil, fmt.Errorf("election %q: not known", p.backend)
}

// openRing is where the setting "keys" chooses.
func (a *app) openRing(file *boltfile.File, codec *keys.Codec, policy keys.Policy) (keys.Store, error) {
	switch a.cfg.Keys {
	case "embedded":
		return keysbolt.Open(file, codec)
	case "redis":
		client, err := a.connections.redis()
		if err != nil {
			return nil, err
		}
		return keysredis.New(keysredis.Config{
			Client: client, Codec: codec, ViewAge: policy.ViewAge, Replicas: a.cfg.RedisReplicas, Logger: a.log,
		})
	case "etcd":
		client, err := a.connections.etcd()
		if err != nil {
			return nil, err
		}
		return etcdstore.New(etcdstore.Config{Client: client, Codec: codec, ViewAge: policy.ViewAge, Logger: a.log})
	case "kubernetes":
		client, namespace, err := a.connections.secrets()
		if err != nil {
			return nil, err
		}
		return secretstore.New(secretstore.Config{
			Client: client, Namespace: namespace, Name: a.cfg.KubernetesSecret, Codec: codec, ViewAge: policy.ViewAge, Logger: a.log,
		})
	}
	return nil, fmt.Errorf("keys %q: not known", a.cfg.Keys)
}
