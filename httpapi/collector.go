package httpapi

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/authd-project/authd/keys"
)

// state reads the mirror and the key ring whenever metrics are collected.
type state struct {
	mirror RevocationMirror
	ring   KeyRing
	now    func() time.Time

	fresh, staleness, entries, keys, ringAge, ringTerm *prometheus.Desc
}

// RegisterState registers gauges for the mirror of revocations and for the key ring. now is the clock that ages are
// told by; nil means time.Now.
func RegisterState(reg prometheus.Registerer, mirror RevocationMirror, ring KeyRing, now func() time.Time) error {
	if now == nil {
		now = time.Now
	}
	c := &state{
		mirror: mirror, ring: ring, now: now,
		fresh: prometheus.NewDesc("authd_revocation_mirror_fresh",
			"1 while the mirror of revocations is complete within the staleness bound.", nil, nil),
		staleness: prometheus.NewDesc("authd_revocation_mirror_staleness_seconds",
			"Age of the moment up to which the mirror is complete; absent before the first reading.", nil, nil),
		entries: prometheus.NewDesc("authd_revocation_entries",
			"Revocations held in memory, by kind.", []string{"kind"}, nil),
		keys: prometheus.NewDesc("authd_signing_keys",
			"Signing keys in the ring, by state.", []string{"state"}, nil),
		ringAge: prometheus.NewDesc("authd_key_ring_age_seconds",
			"Age of this process's view of the key ring; absent before the first load.", nil, nil),
		ringTerm: prometheus.NewDesc("authd_key_ring_term",
			"Term of the leader that wrote the key ring; it grows by one with each leadership.", nil, nil),
	}
	if err := reg.Register(c); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// Describe implements [prometheus.Collector].
func (c *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.fresh, c.staleness, c.entries, c.keys, c.ringAge, c.ringTerm} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *state) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	s := c.mirror.Status()
	fresh := 0.0
	if s.Fresh {
		fresh = 1
	}
	gauge(c.fresh, fresh)
	if !s.AsOf.IsZero() {
		gauge(c.staleness, max(0, c.now().Sub(s.AsOf).Seconds()))
	}
	for kind, n := range s.Entries {
		gauge(c.entries, float64(n), kind.String())
	}
	ring, asOf, err := c.ring.Ring()
	if err != nil {
		return // no ring was loaded yet
	}
	gauge(c.ringAge, max(0, c.now().Sub(asOf).Seconds()))
	gauge(c.ringTerm, float64(ring.Term))
	states := map[keys.State]int{keys.Prepared: 0, keys.Active: 0, keys.Retired: 0, keys.Revoked: 0}
	for _, k := range ring.Keys {
		states[k.State]++
	}
	for st, n := range states {
		gauge(c.keys, float64(n), string(st))
	}
}
