package httpapi

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/audit"
)

// auditState reads the audit log's counts whenever metrics are collected.
type auditState struct {
	stats func() audit.Stats

	events, merged, lost, waiting, stuck *prometheus.Desc
}

// RegisterAudit registers the metrics of the audit log; see [audit.Log.Stats].
func RegisterAudit(reg prometheus.Registerer, stats func() audit.Stats) error {
	sink := []string{"sink"}
	c := &auditState{
		stats:  stats,
		events: prometheus.NewDesc("authd_audit_events_total", "Security events recorded, by type.", []string{"type"}, nil),
		merged: prometheus.NewDesc("authd_audit_merged_total", "Security events that were merged with others like them.", nil, nil),
		lost: prometheus.NewDesc("authd_audit_lost_total",
			"Security events that a sink of the audit log could not be given. Each one is too many.", sink, nil),
		waiting: prometheus.NewDesc("authd_audit_waiting", "Security events that wait for a sink of the audit log.", sink, nil),
		stuck: prometheus.NewDesc("authd_audit_stuck",
			"1 while a sink of the audit log fails or takes too long; then nobody waits for it.", sink, nil),
	}
	if err := reg.Register(c); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Describe implements [prometheus.Collector].
func (c *auditState) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.events, c.merged, c.lost, c.waiting, c.stuck} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *auditState) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	for t, n := range s.Recorded {
		ch <- prometheus.MustNewConstMetric(c.events, prometheus.CounterValue, float64(n), string(t))
	}
	ch <- prometheus.MustNewConstMetric(c.merged, prometheus.CounterValue, float64(s.Merged))
	for _, sink := range s.Sinks {
		stuck := 0.0
		if sink.Stuck {
			stuck = 1
		}
		ch <- prometheus.MustNewConstMetric(c.lost, prometheus.CounterValue, float64(sink.Lost), sink.Name)
		ch <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue, float64(sink.Waiting), sink.Name)
		ch <- prometheus.MustNewConstMetric(c.stuck, prometheus.GaugeValue, stuck, sink.Name)
	}
}
