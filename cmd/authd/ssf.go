package main

import (
	"context"
	"crypto"
	"errors"
	"slices"

	"github.com/spf13/pflag"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/ssf"
	ssfbolt "github.com/authd-project/authd/ssf/boltstore"
)

// SSFConfig says whether other services are told of ended sessions and changed accounts.
type SSFConfig struct {
	SSF          bool
	SSFPushHosts []string
}

func (c *SSFConfig) bind(fs *pflag.FlagSet) {
	fs.BoolVar(&c.SSF, "ssf", false, "tell clients of ended sessions and changed accounts by OpenID Shared Signals")
	fs.StringSliceVar(&c.SSFPushHosts, "ssf-push-hosts", nil, "hosts, or HOST:PORT, to which shared signals may be pushed; without one they are polled")
}

func (c *SSFConfig) validate(redis string) []error {
	return []error{
		require(!c.SSF || redis == "", "ssf: not with redis, as streams are kept in the data folder of one authd"),
		require(c.SSF || len(c.SSFPushHosts) == 0, "ssf: required with ssf-push-hosts"),
		require(!slices.Contains(c.SSFPushHosts, ""), "ssf-push-hosts: must not be empty"),
	}
}

// openSSF opens the streams, as a sink of the audit log.
func (a *app) openSSF(ctx context.Context, issuer string, file *boltfile.File) (targets []audit.Target, err error) {
	if !a.cfg.SSF {
		return nil, nil
	}
	store, err := ssfbolt.Open(file)
	if err != nil {
		return nil, err
	}
	signals, err := ssf.New(ctx, ssf.Config{
		Issuer: issuer, PollURL: issuer + httpapi.PathPoll, Keys: viewedKeys{a}, Store: store, PushHosts: a.cfg.SSFPushHosts,
		Around: a.tracedRequests("ssf"), Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.signals = signals
	a.jobs = append(a.jobs, signals.Run)
	return []audit.Target{{Name: "ssf", Sink: signals}}, nil
}

// viewedKeys are the keys of the view, which is opened after the audit log. Nothing is signed before the jobs run.
type viewedKeys struct{ a *app }

// SigningKey implements [token.SigningKeys].
func (k viewedKeys) SigningKey(ctx context.Context) (kid, alg string, key crypto.Signer, err error) {
	if k.a.view == nil {
		return "", "", nil, errors.New("the keys are not open yet")
	}
	return k.a.view.SigningKey(ctx)
}
