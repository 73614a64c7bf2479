package main

import (
	"context"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/redisreports"
	"github.com/authd-project/authd/revocation/httpfeed"
)

// openReports opens where the reports of verifiers come together, if keys may sign ahead of the timetable. Where there is
// an election, there is Redis too.
func (a *app) openReports(policy keys.Policy) error {
	switch {
	case policy.PublishAheadLeast == 0:
		return nil
	case a.cfg.Redis == "":
		a.reports = keys.NewMemoryReports(time.Now(), policy.ReportedFor(), 0)
		return nil
	}
	client, err := a.connections.redis()
	if err != nil {
		return err
	}
	reports, err := redisreports.New(redisreports.Config{
		Client: client, KeepFor: policy.ReportedFor(), Replicas: a.cfg.RedisReplicas,
	})
	if err != nil {
		return err
	}
	a.reports = reports
	return nil
}

// feedConfig is how the revocation feed is served, and its clients asked for reports.
func (a *app) feedConfig() httpfeed.HandlerConfig {
	cfg := httpfeed.HandlerConfig{Feed: a.mirror, Logger: a.log}
	if a.reports == nil {
		return cfg
	}
	cfg.ReportEvery = a.cfg.keyPolicy().ReportEvery()
	cfg.Report = func(ctx context.Context, r httpfeed.Report) error {
		return a.reports.Put(ctx, keys.Report{Verifier: r.Client, Held: r.Held, From: r.From, At: r.At})
	}
	return cfg
}
