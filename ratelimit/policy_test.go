package ratelimit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

func TestParsePolicy(t *testing.T) {
	for text, want := range map[string]ratelimit.Policy{
		"fixed-window 10/1m":             {Algorithm: ratelimit.FixedWindow, Limit: 10, Window: time.Minute},
		"sliding-window 100/1h30m":       {Algorithm: ratelimit.SlidingWindow, Limit: 100, Window: 90 * time.Minute},
		"token-bucket 10/1s burst 50":    {Algorithm: ratelimit.TokenBucket, Limit: 10, Window: time.Second, Burst: 50},
		"leaky-bucket 1/250ms burst 1":   {Algorithm: ratelimit.LeakyBucket, Limit: 1, Window: 250 * time.Millisecond, Burst: 1},
		"  token-bucket\t10/s  ":         {Algorithm: ratelimit.TokenBucket, Limit: 10, Window: time.Second},
		"fixed-window 1000000/744h":      {Algorithm: ratelimit.FixedWindow, Limit: 1_000_000, Window: 31 * 24 * time.Hour},
		"leaky-bucket 5/s burst 1000000": {Algorithm: ratelimit.LeakyBucket, Limit: 5, Window: time.Second, Burst: 1_000_000},
	} {
		if got, err := ratelimit.ParsePolicy(text); err != nil || got != want {
			t.Errorf("ParsePolicy(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParsePolicySaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "want ALGORITHM LIMIT/WINDOW [burst BURST]",
		"token-bucket":                     "want ALGORITHM LIMIT/WINDOW [burst BURST]",
		"token-bucket 10/1m burst":         "want ALGORITHM LIMIT/WINDOW [burst BURST]",
		"token-bucket 10/1m burst 5 extra": "want ALGORITHM LIMIT/WINDOW [burst BURST]",
		"tocken-bucket 10/1m":              `unknown algorithm "tocken-bucket": want one of fixed-window,`,
		"Token-Bucket 10/1m":               `unknown algorithm "Token-Bucket"`,
		"token-bucket 10":                  `rate "10": want LIMIT/WINDOW`,
		"token-bucket /1m":                 `limit "": want a whole number`,
		"token-bucket 0/1m":                `limit "0": want a whole number from 1 to 1000000`,
		"token-bucket -1/1m":               `limit "-1": want a whole number`,
		"token-bucket 1.5/1m":              `limit "1.5": want a whole number`,
		"token-bucket 1000001/1m":          `limit "1000001": want a whole number from 1 to 1000000`,
		"token-bucket 10/":                 `window of rate "10/": want a duration`,
		"token-bucket 10/1":                `window of rate "10/1": want a duration`,
		"token-bucket 10/day":              `window of rate "10/day": want a duration`,
		"token-bucket 10/0s":               "window 0s: must be whole milliseconds, from 1ms to 744h0m0s",
		"token-bucket 10/-1s":              `window of rate "10/-1s"`,
		"token-bucket 10/1500us":           "window 1.5ms: must be whole milliseconds",
		"token-bucket 10/745h":             "window 745h0m0s: must be whole milliseconds",
		"token-bucket 10/1m brust 5":       `"brust" after the rate: only burst may follow`,
		"token-bucket 10/1m burst 0":       `burst "0": want a whole number`,
		"token-bucket 1/744h burst 11":     "burst 11: a full bucket must drain within 7440h0m0s, so it may hold 10",
		"leaky-bucket 1/744h burst 10":     "burst 10: a full bucket must drain within 7440h0m0s, so it may hold 10",
		"sliding-window 10/1m burst 5":     "burst: sliding-window has none, it admits its whole limit at once",
	} {
		p, err := ratelimit.ParsePolicy(text)
		if err == nil {
			t.Errorf("ParsePolicy(%q) = %v", text, p)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "rate limit ") {
			t.Errorf("ParsePolicy(%q): %q does not say %q", text, err, want)
		}
	}
}

func TestValidateReportsEveryProblem(t *testing.T) {
	err := ratelimit.Policy{Burst: -1}.Validate()
	if err == nil {
		t.Fatal("the zero policy with a negative burst is valid")
	}
	for _, want := range []string{"Algorithm(0)", "limit 0", "window 0s", "burst -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
}

func TestPolicyAsText(t *testing.T) {
	type config struct{ Login ratelimit.Policy }
	text, err := json.Marshal(config{policy(t, "token-bucket 10/1h burst 20")})
	if want := `{"Login":"token-bucket 10/1h burst 20"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil || c.Login != policy(t, "token-bucket 10/1h burst 20") {
		t.Errorf("%+v, %v", c, err)
	}
	if err := json.Unmarshal([]byte(`{"Login":"10/1h"}`), &c); err == nil {
		t.Error("a broken policy was accepted")
	}
	if _, err := json.Marshal(config{}); err == nil {
		t.Error("the zero policy was written, and could not be read again")
	}
}

func FuzzParsePolicy(f *testing.F) {
	for _, text := range []string{
		"fixed-window 10/1m", "sliding-window 3/1h30m", "token-bucket 10/1s burst 50", "leaky-bucket 1/250ms", "x 1/1ns",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ratelimit.ParsePolicy(text)
		if err != nil {
			return
		}
		if again, err := ratelimit.ParsePolicy(p.String()); err != nil || again != p {
			t.Errorf("%q is %+v, but its String %q is %+v, %v", text, p, p, again, err)
		}
		if err := p.CheckUnits(p.Capacity()); err != nil {
			t.Error(err)
		}
	})
}

func TestLongestDelay(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"leaky-bucket 10/1s burst 20":   2 * time.Second,
		"leaky-bucket 3/1s burst 1":     334 * time.Millisecond, // 333⅓
		"leaky-bucket 10/1s":            0,
		"token-bucket 10/1s burst 20":   0,
		"sliding-window 10/1s":          0,
		"leaky-bucket 10/744h burst 99": 7365*time.Hour + 36*time.Minute,
	} {
		if got := policy(t, text).LongestDelay(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}
