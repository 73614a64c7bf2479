package keys_test

import (
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/keys"
)

func TestDefaultsAreValid(t *testing.T) {
	p := keys.Policy{}.WithDefaults()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	want := keys.Policy{
		Algorithm:    "ES256",
		RotateEvery:  30 * 24 * time.Hour,
		PublishAhead: time.Hour,
		JWKSMaxAge:   10 * time.Minute,
		JWKSOverstay: 5 * time.Minute,
		ViewAge:      10 * time.Minute,
		Skew:         30 * time.Second,
		TokenLife:    10 * time.Minute,
		Leeway:       30 * time.Second,
		SessionIdle:  7 * 24 * time.Hour,
		RevokedFor:   7 * 24 * time.Hour,
	}
	if p != want {
		t.Errorf("got %+v, the documented defaults are %+v", p, want)
	}
	if got, want := p.RetiredFor(), 21*time.Minute+30*time.Second; got != want {
		t.Errorf("RetiredFor is %v, want %v", got, want)
	}
}

// Drills turn the ring in seconds; whatever is not given must follow.
func TestDefaultsFollowWhatIsGiven(t *testing.T) {
	for name, p := range map[string]keys.Policy{
		"every two seconds": {RotateEvery: 2 * time.Second, TokenLife: 20 * time.Second},
		"every ten seconds": {RotateEvery: 10 * time.Second, TokenLife: time.Minute},
		"every hour":        {RotateEvery: time.Hour},
		"long ahead":        {PublishAhead: 14 * 24 * time.Hour},
		"shortest ahead":    {RotateEvery: 24 * time.Hour, PublishAhead: 1500 * time.Millisecond, TokenLife: 10 * time.Second},
		"long tokens":       {TokenLife: 24 * time.Hour},
	} {
		if err := p.WithDefaults().Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each inequality is strict, and its violation names the setting to change.
func TestValidateNamesTheSetting(t *testing.T) {
	good := keys.Policy{}.WithDefaults()
	spread := good.JWKSMaxAge + good.JWKSOverstay + good.ViewAge + good.Skew
	for name, test := range map[string]struct {
		change func(*keys.Policy)
		want   string // "" when it is valid
	}{
		"just enough ahead":          {func(p *keys.Policy) { p.PublishAhead = spread + 1 }, ""},
		"equality is not enough":     {func(p *keys.Policy) { p.PublishAhead = spread }, "publish-ahead 25m30s"},
		"unknown algorithm":          {func(p *keys.Policy) { p.Algorithm = "HS256" }, `algorithm "HS256"`},
		"no algorithm":               {func(p *keys.Policy) { p.Algorithm = "" }, `algorithm ""`},
		"max-age below a second":     {func(p *keys.Policy) { p.JWKSMaxAge = time.Second - 1 }, "jwks-max-age"},
		"no view age":                {func(p *keys.Policy) { p.ViewAge = 0 }, "view-age"},
		"no token life":              {func(p *keys.Policy) { p.TokenLife = 0 }, "access-ttl"},
		"no idle limit":              {func(p *keys.Policy) { p.SessionIdle = 0 }, "session-idle"},
		"negative skew":              {func(p *keys.Policy) { p.Skew = -1 }, "skew -1ns"},
		"negative leeway":            {func(p *keys.Policy) { p.Leeway = -1 }, "leeway -1ns"},
		"negative overstay":          {func(p *keys.Policy) { p.JWKSOverstay = -1 }, "jwks-overstay -1ns"},
		"rotation as often as ahead": {func(p *keys.Policy) { p.RotateEvery = p.PublishAhead }, ""},
		"rotation too often":         {func(p *keys.Policy) { p.RotateEvery = p.PublishAhead - 1 }, "rotate-every"},
		"least ahead":                {func(p *keys.Policy) { p.PublishAheadLeast = p.ViewAge + p.Skew + 10*time.Second + 1 }, ""},
		"least ahead without a margin": {
			func(p *keys.Policy) { p.PublishAheadLeast = p.ViewAge + p.Skew + 10*time.Second }, "publish-ahead-least 10m40s",
		},
		"least ahead not below ahead": {func(p *keys.Policy) { p.PublishAheadLeast = p.PublishAhead }, "publish-ahead-least 1h"},
		"negative least ahead":        {func(p *keys.Policy) { p.PublishAheadLeast = -1 }, "publish-ahead-least -1ns"},
		"kid forgotten too early":     {func(p *keys.Policy) { p.RevokedFor = p.RetiredFor() }, "revoked-for"},
		"more keys than verifiers take": {func(p *keys.Policy) {
			p.TokenLife = 60 * p.PublishAhead
			p.RevokedFor = 100 * p.PublishAhead
		}, "verifiers take 60"},
	} {
		p := good
		test.change(&p)
		err := p.Validate()
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %v, want it to say %q", name, err, test.want)
		}
	}
}

func TestValidateReportsAllAtOnce(t *testing.T) {
	err := keys.Policy{}.Validate()
	for _, setting := range []string{"algorithm", "jwks-max-age", "view-age", "access-ttl", "session-idle", "publish-ahead", "revoked-for"} {
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s is missing in: %v", setting, err)
		}
	}
}
