package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// Whatever stands in a configuration file, it is refused, or durations and numbers are within what authd can bear.
func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{
		"", "access_ttl: 5m\nleeway: 10s\n", "access_ttl: 1ns", "access_ttl: 9223372036854775807ns", "access_ttl: -5m", "access_ttl: 1e3s", "access_ttl: 5", "access_ttl: [5m, 6m]", "leeway: ٣s", "session_idle: 1h\nsession_absolute: 100000h",
		"audience: [a, b]\nclients:\n- orders:00\n", "trusted_proxies: [10.0.0.0/8, ::/0, x]", "rate_limits: [login=token-bucket 10/1m burst 20]", "no_such: 1", "a: &a [*a]", "publish_ahead: 1h\njwks_max_age: 2h", "\xff", "access-ttl: 5m", "listen: :0\nissuer: http://[::1]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(t.TempDir(), "authd.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		s := newSettings(&cobra.Command{})
		s.file = file
		c, err := s.load(func(string) string { return "" })
		if err != nil {
			return
		}
		if c.AccessTTL < 2*time.Second || c.AccessTTL > 24*time.Hour || c.Leeway > 30*time.Second || c.RefreshGrace > c.AccessTTL/2 || c.SessionIdle <= c.AccessTTL {
			t.Errorf("%q is accepted: %+v", text, c)
		}
		if err := c.keyPolicy().Validate(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if len(c.Audience) == 0 || c.MaxConnections <= 0 || c.DrainTimeout <= 0 || c.MaxStaleness <= 0 {
			t.Errorf("%q is accepted: %+v", text, c)
		}
	})
}
