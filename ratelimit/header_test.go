package ratelimit_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

func TestAddHeader(t *testing.T) {
	for name, c := range map[string]struct {
		policy   string
		decision ratelimit.Decision
		want     map[string]string
	}{
		"allowed": {"fixed-window 100/1m", ratelimit.Decision{Allowed: true, Remaining: 99, ResetAfter: 59_001 * time.Millisecond},
			map[string]string{"RateLimit-Policy": `"api";q=100;w=60`, "RateLimit": `"api";r=99;t=60`, "Retry-After": ""}},
		"refused": {"token-bucket 10/1h burst 50", ratelimit.Decision{ResetAfter: 5 * time.Hour, RetryAfter: 6 * time.Minute},
			map[string]string{"RateLimit-Policy": `"api";q=10;w=3600`, "RateLimit": `"api";r=0;t=360`, "Retry-After": "360"}},
		"refused for a moment": {"leaky-bucket 10/250ms", ratelimit.Decision{ResetAfter: time.Millisecond, RetryAfter: time.Millisecond},
			map[string]string{"RateLimit-Policy": `"api";q=10`, "RateLimit": `"api";r=0;t=1`, "Retry-After": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := make(http.Header)
			ratelimit.AddHeader(h, "api", policy(t, c.policy), c.decision)
			for field, want := range c.want {
				if got := h.Get(field); got != want {
					t.Errorf("%s: %s, want %s", field, got, want)
				}
			}
		})
	}
}

// Several limits make lists, and the client must wait for the slowest.
func TestAddHeaderOfSeveralLimits(t *testing.T) {
	h := make(http.Header)
	ratelimit.AddHeader(h, "second", policy(t, "fixed-window 10/1s"), ratelimit.Decision{RetryAfter: time.Second})
	ratelimit.AddHeader(h, "hour", policy(t, "fixed-window 99/1h"), ratelimit.Decision{RetryAfter: time.Hour})
	ratelimit.AddHeader(h, "minute", policy(t, "fixed-window 50/1m"), ratelimit.Decision{RetryAfter: time.Minute})
	for field, want := range map[string]string{
		"RateLimit-Policy": `"second";q=10;w=1, "hour";q=99;w=3600, "minute";q=50;w=60`,
		"RateLimit":        `"second";r=0;t=1, "hour";r=0;t=3600, "minute";r=0;t=60`,
		"Retry-After":      "3600",
	} {
		if got := strings.Join(h.Values(field), ", "); got != want {
			t.Errorf("%s: %s, want %s", field, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"api", "login per address", "~!#"} {
		if err := ratelimit.CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", `a"b`, `a\b`, "a\nb", "é", "\x7f"} {
		if err := ratelimit.CheckName(name); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}
