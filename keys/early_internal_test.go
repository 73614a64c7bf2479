package keys

import (
	"testing"
	"time"
)

// Ahead of the timetable a standby begins to sign, and nothing else happens.
func TestEarly(t *testing.T) {
	p := Policy{}.WithDefaults()
	p.PublishAheadLeast = 12 * time.Minute
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	key := func(id string, s State, age time.Duration) Key {
		return Key{ID: id, Algorithm: p.Algorithm, State: s, Since: now.Add(-age), KeepFor: p.RetiredFor()}
	}
	mac := func(id uint32, s State, age time.Duration) MACKey {
		return MACKey{ID: id, State: s, Since: now.Add(-age), KeepFor: p.macRetiredFor()}
	}
	young, old := key("active", Active, time.Hour), key("active", Active, p.RotateEvery)
	standby := key("standby", Prepared, p.PublishAheadLeast)
	macs := []MACKey{mac(1, Active, time.Hour), mac(2, Prepared, time.Hour)}
	off := p
	off.PublishAheadLeast = 0

	for name, c := range map[string]struct {
		policy Policy
		ring   Ring
		want   Step
	}{
		"a rotation that is due":     {p, Ring{Keys: []Key{old, standby}, MACs: macs}, Step{Action: Activate, KeyID: "standby"}},
		"none is due":                {p, Ring{Keys: []Key{young, standby}, MACs: macs}, Step{Action: Wait}},
		"the standby is too young":   {p, Ring{Keys: []Key{old, key("standby", Prepared, p.PublishAheadLeast-1)}, MACs: macs}, Step{Action: Wait}},
		"it is turned off":           {off, Ring{Keys: []Key{old, standby}, MACs: macs}, Step{Action: Wait}},
		"a second standby stays":     {p, Ring{Keys: []Key{young, standby, key("other", Prepared, 0)}, MACs: macs}, Step{Action: Wait}},
		"a MAC key waits its time":   {p, Ring{Keys: []Key{young, standby}, MACs: []MACKey{mac(1, Active, p.RotateEvery), mac(2, Prepared, p.PublishAheadLeast)}}, Step{Action: Wait}},
		"an unconfirmed key is none": {p, Ring{Keys: []Key{old, {ID: "standby", Algorithm: p.Algorithm, State: Prepared}}, MACs: macs}, Step{Action: Wait}},
	} {
		c.ring.Epoch = "epoch"
		if got := c.policy.early(now, c.ring); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
