package session

import (
	"strings"
	"testing"
	"time"
)

func TestLimitsDefaults(t *testing.T) {
	want := Limits{Idle: 7 * 24 * time.Hour, Absolute: 30 * 24 * time.Hour, Grace: 30 * time.Second, MaxReplays: 64}
	if got := (Limits{}).WithDefaults(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := want.WithDefaults(); got != want {
		t.Errorf("set limits were changed to %+v", got)
	}
	if err := want.Validate(10 * time.Minute); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

func TestLimitsValidate(t *testing.T) {
	bad := Limits{Idle: time.Minute, Absolute: time.Second, Grace: 6 * time.Minute, MaxReplays: -1}
	err := bad.Validate(10 * time.Minute)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, setting := range []string{"grace 6m0s", "replays -1", "idle limit 1m0s", "absolute limit 1s"} {
		if !strings.Contains(err.Error(), setting) {
			t.Errorf("%q is not reported in: %v", setting, err)
		}
	}
	for _, grace := range []time.Duration{0, -time.Second} {
		l := Limits{}.WithDefaults()
		l.Grace = grace
		if l.Validate(10*time.Minute) == nil {
			t.Errorf("accepted a grace of %v", grace)
		}
	}
}

func TestExpires(t *testing.T) {
	l := Limits{Idle: time.Hour, Absolute: 3 * time.Hour}
	created := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct{ used, want time.Duration }{
		{0, time.Hour},
		{90 * time.Minute, 150 * time.Minute},
		{170 * time.Minute, 3 * time.Hour},
	} {
		s := Session{CreatedAt: created, LastUsedAt: created.Add(tt.used)}
		want := created.Add(tt.want)
		if got := s.Expires(l); !got.Equal(want) {
			t.Errorf("used after %v: expires after %v, want %v", tt.used, got.Sub(created), tt.want)
		}
		if s.Expired(want.Add(-1), l) || !s.Expired(want, l) {
			t.Errorf("used after %v: expired before its time, or not at it", tt.used)
		}
	}
}
