package httpapi

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// leadershipState reads the election whenever metrics are collected.
type leadershipState struct {
	leadership Leadership
	now        func() time.Time

	leads, changes, age *prometheus.Desc
}

// RegisterLeadership registers the metrics of the election. now is the clock that ages are told by; nil means time.Now.
func RegisterLeadership(reg prometheus.Registerer, leadership Leadership, now func() time.Time) error {
	if now == nil {
		now = time.Now
	}
	c := &leadershipState{
		leadership: leadership, now: now,
		leads: prometheus.NewDesc("authd_leader", "1 while this process leads. One process at a time should.", nil, nil),
		changes: prometheus.NewDesc("authd_leader_changes_total",
			"Leaders that this process has seen begin, itself included.", nil, nil),
		age: prometheus.NewDesc("authd_leader_sight_age_seconds",
			"Time since the election was last heard of; absent before the first time.", nil, nil),
	}
	if err := reg.Register(c); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Describe implements [prometheus.Collector].
func (c *leadershipState) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.leads, c.changes, c.age} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *leadershipState) Collect(ch chan<- prometheus.Metric) {
	s, leads := c.leadership.Sight(), 0.0
	if s.Self {
		leads = 1
	}
	ch <- prometheus.MustNewConstMetric(c.leads, prometheus.GaugeValue, leads)
	ch <- prometheus.MustNewConstMetric(c.changes, prometheus.CounterValue, float64(s.Changes))
	if !s.AsOf.IsZero() {
		ch <- prometheus.MustNewConstMetric(c.age, prometheus.GaugeValue, max(0, c.now().Sub(s.AsOf).Seconds()))
	}
}
