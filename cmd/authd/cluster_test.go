package main

import (
	"strings"
	"testing"
	"time"
)

func TestClusterDefaults(t *testing.T) {
	for name, tt := range map[string]struct {
		args           []string
		election, keys string
	}{
		"nothing": {nil, "solo", "embedded"},
		"redis":   {[]string{"--redis=redis://h", "--kek-file=/k"}, "redis", "redis"},
		"redis alone": {
			[]string{"--redis=redis://h", "--election=solo", "--keys=embedded"}, "solo", "embedded",
		},
		"kubernetes": {
			[]string{"--redis=redis://h", "--kek-file=/k", "--election=kubernetes", "--keys=kubernetes"}, "kubernetes", "kubernetes",
		},
		"mixed": {
			[]string{"--redis=redis://h", "--kek-file=/k", "--etcd=http://e:2379", "--keys=etcd"}, "redis", "etcd",
		},
	} {
		cfg, err := load(t, nil, tt.args...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cfg.Election != tt.election || cfg.Keys != tt.keys || cfg.ElectionLease != 5*time.Second {
			t.Errorf("%s: election %q, keys %q, lease %v", name, cfg.Election, cfg.Keys, cfg.ElectionLease)
		}
	}
}

// A key-encryption key that each authd makes for itself is one that no other can open the ring with.
func TestSharedRingHasNoDefaultKEK(t *testing.T) {
	if cfg, err := load(t, nil, "--data=/d"); err != nil || cfg.KEKFile != "/d/kek" {
		t.Errorf("alone: kek-file %q, %v", cfg.KEKFile, err)
	}
	if _, err := load(t, nil, "--data=/d", "--redis=redis://h"); err == nil || !strings.Contains(err.Error(), "kek-file: required") {
		t.Errorf("shared: %v", err)
	}
}

func TestDangerousClustersAreRefused(t *testing.T) {
	const redis, kek, etcd = "--redis=redis://h", "--kek-file=/k", "--etcd=https://e:2379"
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"shared ring, nobody elected": {[]string{redis, kek, "--election=solo"}, "election solo: choose"},
		"others lead, own ring":       {[]string{redis, "--keys=embedded"}, "keys embedded: choose"},
		"sessions not shared":         {[]string{kek, "--election=kubernetes", "--keys=kubernetes"}, "redis: required with election kubernetes"},
		"redis election without one":  {[]string{kek, "--election=redis", "--keys=redis"}, "redis: required with election redis"},
		"etcd without members":        {[]string{redis, kek, "--election=etcd"}, "etcd: required with election etcd"},
		"unknown election":            {[]string{"--election=raft"}, `election "raft"`},
		"unknown ring":                {[]string{"--keys=vault"}, `keys "vault"`},
		"short lease":                 {[]string{"--election-lease=2s"}, "election-lease 2s"},
		"lease in fractions":          {[]string{"--election-lease=3500ms"}, "election-lease 3.5s"},
		"half a client certificate":   {[]string{etcd, "--etcd-cert=/c"}, "etcd-cert and etcd-key"},
		"user without password":       {[]string{etcd, "--etcd-username=u"}, "etcd-username and etcd-password-file"},
		"authority without TLS":       {[]string{"--etcd=http://e:2379", "--etcd-ca=/ca"}, "must be https"},
		"member without scheme":       {[]string{"--etcd=e:2379"}, "etcd: want http://HOST:PORT"},
		"etcd settings without etcd":  {[]string{"--etcd-ca=/ca"}, "etcd: required with etcd-ca"},
		"password without redis":      {[]string{"--redis-password-file=/p"}, "redis: required with redis-password-file"},
		"no lease's name":             {[]string{"--kubernetes-lease="}, "kubernetes-lease: required"},
		"no secret's name":            {[]string{"--kubernetes-secret="}, "kubernetes-secret: required"},
	} {
		_, err := load(t, nil, tt.args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want it to mention %q", name, err, tt.want)
		}
	}
}
