package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/oauth/backchannel"
)

// backchannelCollector reads the counts of logout notices whenever metrics are collected.
type backchannelCollector struct {
	sender           *backchannel.Sender
	told             func() []string // all clients that want to hear of logouts
	notices, waiting *prometheus.Desc
}

// registerBackchannel registers what becomes of logout notices.
func registerBackchannel(reg prometheus.Registerer, sender *backchannel.Sender, told func() []string) error {
	err := reg.Register(&backchannelCollector{
		sender: sender, told: told,
		notices: prometheus.NewDesc("authd_backchannel_logouts_total",
			"Logout notices to clients by what became of them: delivered, failed (each try) or given_up.", []string{"client_id", "result"}, nil),
		waiting: prometheus.NewDesc("authd_backchannel_logouts_waiting",
			"Logout notices that are still to be delivered, by client.", []string{"client_id"}, nil),
	})
	if err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Describe implements [prometheus.Collector].
func (c *backchannelCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.notices; ch <- c.waiting }

// Collect implements [prometheus.Collector].
func (c *backchannelCollector) Collect(ch chan<- prometheus.Metric) {
	stats := c.sender.Stats()
	for _, client := range c.told() {
		if _, known := stats[client]; !known {
			stats[client] = backchannel.Stats{} // from zero on, or nobody would see the first notice counted
		}
	}
	for client, s := range stats {
		for result, n := range map[string]uint64{"delivered": s.Delivered, "failed": s.Failed, "given_up": s.GivenUp} {
			ch <- prometheus.MustNewConstMetric(c.notices, prometheus.CounterValue, float64(n), client, result)
		}
		ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(s.Waiting), client)
	}
}
