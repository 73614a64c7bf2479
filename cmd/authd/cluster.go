package main

import (
	"errors"
	"net/url"
	"time"

	"github.com/spf13/pflag"
)

// ConnectionConfig says where the servers are that several processes share, and how they elect.
type ConnectionConfig struct {
	Redis             string
	RedisPasswordFile string

	Kubeconfig          string
	KubernetesNamespace string

	Etcd                      []string
	EtcdCA, EtcdCert, EtcdKey string
	EtcdUsername              string
	EtcdPasswordFile          string
	EtcdPrefix                string

	ElectionLease time.Duration
}

func (c *ConnectionConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.Redis, "redis", "", "URL of the Redis that keeps sessions, revocations, the key ring and the election, also redis-sentinel:// and redis-cluster:// (default: the embedded store)")
	fs.StringVar(&c.RedisPasswordFile, "redis-password-file", "", "file of the Redis password; the environment of a process is safer than its arguments, and a file safer than both")
	fs.StringVar(&c.Kubeconfig, "kubeconfig", "", "file that says where the Kubernetes API is (default: KUBECONFIG, or the cluster that authd runs in)")
	fs.StringVar(&c.KubernetesNamespace, "kubernetes-namespace", "", "namespace of the Lease and the Secret (default: that of the pod or of the kubeconfig)")
	fs.StringSliceVar(&c.Etcd, "etcd", nil, "URLs of the etcd members, such as https://etcd-0:2379")
	fs.StringVar(&c.EtcdCA, "etcd-ca", "", "PEM file of the authorities of etcd's certificates (default: the system's)")
	fs.StringVar(&c.EtcdCert, "etcd-cert", "", "PEM file of the client certificate for etcd")
	fs.StringVar(&c.EtcdKey, "etcd-key", "", "PEM file of its key")
	fs.StringVar(&c.EtcdUsername, "etcd-username", "", "user of etcd")
	fs.StringVar(&c.EtcdPasswordFile, "etcd-password-file", "", "file of that user's password")
	fs.StringVar(&c.EtcdPrefix, "etcd-prefix", "", "what to put before all keys in etcd, which begin with authd/ (default: nothing)")
	fs.DurationVar(&c.ElectionLease, "election-lease", 5*time.Second, "how long a leader that is not heard of keeps others out, in whole seconds; work stops before")
}

func (c *ConnectionConfig) validate() error {
	return errors.Join(
		require(c.Redis != "" || c.RedisPasswordFile == "", "redis: required with redis-password-file"),
		c.validateEtcd(),
		require(c.ElectionLease >= 3*time.Second && c.ElectionLease%time.Second == 0,
			"election-lease %v: must be whole seconds, at least 3s", c.ElectionLease),
	)
}

func (c *ConnectionConfig) validateEtcd() error {
	if len(c.Etcd) == 0 {
		return require(c.EtcdCA == "" && c.EtcdCert == "" && c.EtcdKey == "" && c.EtcdUsername == "" && c.EtcdPasswordFile == "",
			"etcd: required with etcd-ca, etcd-cert, etcd-key, etcd-username or etcd-password-file")
	}
	problems := []error{
		require((c.EtcdCert == "") == (c.EtcdKey == ""), "etcd-cert and etcd-key: want both or neither"),
		require((c.EtcdUsername == "") == (c.EtcdPasswordFile == ""), "etcd-username and etcd-password-file: want both or neither"),
	}
	for _, e := range c.Etcd {
		u, err := url.Parse(e)
		ok := err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.Path == ""
		problems = append(problems, require(ok, "etcd: want http://HOST:PORT or https://HOST:PORT for each member"))
		if ok && (c.EtcdCA != "" || c.EtcdCert != "") {
			problems = append(problems, require(u.Scheme == "https", "etcd %q: must be https with etcd-ca or etcd-cert", e))
		}
	}
	return errors.Join(problems...)
}

// requires tells what must be set for a backend to be reached.
func (c *ConnectionConfig) requires(setting, backend string) error {
	switch backend {
	case "redis":
		return require(c.Redis != "", "redis: required with %s redis", setting)
	case "etcd":
		return require(len(c.Etcd) > 0, "etcd: required with %s etcd", setting)
	}
	return nil
}

// ClusterConfig says how several authd share one key ring, and who of them leads.
type ClusterConfig struct {
	Election         string // solo, kubernetes, etcd or redis
	Keys             string // embedded, kubernetes, etcd or redis
	KubernetesLease  string
	KubernetesSecret string
}

func (c *ClusterConfig) bind(fs *pflag.FlagSet) {
	fs.StringVar(&c.Election, "election", "", "what elects the authd that rotates keys: solo (this is the only one), redis, etcd or kubernetes (default: redis with redis, else solo)")
	fs.StringVar(&c.Keys, "keys", "", "what keeps the key ring: embedded (the data folder), redis, etcd or kubernetes (default: redis with redis, else embedded)")
	fs.StringVar(&c.KubernetesLease, "kubernetes-lease", "authd-leader", "name of the Lease that elects")
	fs.StringVar(&c.KubernetesSecret, "kubernetes-secret", "authd-keys", "name of the Secret that keeps the key ring, sealed")
}

// completeCluster chooses election and key ring by what else is set.
func (c *Config) completeCluster() {
	election, keys := "solo", "embedded"
	if c.Redis != "" {
		election, keys = "redis", "redis"
	}
	c.Election, c.Keys = orElse(c.Election, election), orElse(c.Keys, keys)
}

// shared tells whether several authd use one key ring.
func (c *Config) shared() bool { return c.Keys != "embedded" }

// validateCluster refuses what would give two authd different keys, or let two of them write the same ones.
func (c *Config) validateCluster() error {
	solo := c.Election == "solo"
	return errors.Join(
		oneOf("election", c.Election, "solo", "redis", "etcd", "kubernetes"),
		oneOf("keys", c.Keys, "embedded", "redis", "etcd", "kubernetes"),
		c.requires("election", c.Election),
		c.requires("keys", c.Keys),
		require(!solo || !c.shared(), "election solo: choose redis, etcd or kubernetes with keys %s, as others may use the same ring", c.Keys),
		require(solo || c.shared(), "keys embedded: choose redis, etcd or kubernetes with election %s, or each authd has keys of its own", c.Election),
		require(solo || c.Redis != "", "redis: required with election %s, as all authd must share sessions and revocations", c.Election),
		require(!c.shared() || c.KEKFile != "", "kek-file: required with keys %s, as every authd needs the same one; make it once with "+
			"`openssl rand -base64 32` (or set election solo and keys embedded, to run one authd alone)", c.Keys),
		require(c.KubernetesLease != "", "kubernetes-lease: required"),
		require(c.KubernetesSecret != "", "kubernetes-secret: required"),
	)
}
