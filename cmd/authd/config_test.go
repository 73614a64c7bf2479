package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// load parses args as `authd serve` does, without serving.
func load(t *testing.T, env map[string]string, args ...string) (Config, error) {
	t.Helper()
	var cfg Config
	cmd := &cobra.Command{Use: "serve", SilenceErrors: true, SilenceUsage: true}
	s := newSettings(cmd)
	cmd.RunE = func(*cobra.Command, []string) (err error) {
		cfg, err = s.load(func(name string) string { return env[name] })
		return err
	}
	cmd.SetArgs(args)
	err := cmd.Execute()
	return cfg, err
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "authd.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDefaultsAreValid(t *testing.T) {
	if _, err := load(t, nil); err != nil {
		t.Fatal(err)
	}
}

func TestSourcesOverrideEachOther(t *testing.T) {
	file := write(t, "access_ttl: 3m\naudience: [a, b]\nlisten: 127.0.0.1:7001\nadmin_listen: 127.0.0.1:7002\n")
	env := map[string]string{"AUTHD_CONFIG": file, "AUTHD_ACCESS_TTL": "4m", "AUTHD_LISTEN": "127.0.0.1:7003"}
	cfg, err := load(t, env, "--listen", "127.0.0.1:7004")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:7004" {
		t.Errorf("listen %q: a flag must win over environment and file", cfg.Listen)
	}
	if cfg.AccessTTL != 4*time.Minute {
		t.Errorf("access-ttl %v: the environment must win over the file", cfg.AccessTTL)
	}
	if cfg.AdminListen != "127.0.0.1:7002" || strings.Join(cfg.Audience, " ") != "a b" {
		t.Errorf("admin-listen %q, audience %q: the file must win over the defaults", cfg.AdminListen, cfg.Audience)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	file := write(t, "acess_ttl: 3m\nlog_level: {a: b}\nrefresh_grace: soon\n")
	_, err := load(t, map[string]string{"AUTHD_SKEW": "much"}, "--config", file, "--access-ttl", "ten minutes", "--hash-pool", "many")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"--access-ttl", "--hash-pool", "AUTHD_SKEW", "refresh_grace", "acess_ttl: no such setting", "log_level: want a value",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %q:\n%v", want, err)
		}
	}
}

func TestDangerousCombinationsAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"several at once": {
			[]string{"--access-ttl=1s", "--leeway=5m", "--max-staleness=0s", "--audience=", "--log-level=loud", "--algorithm=HS256"},
			[]string{"access-ttl", "leeway", "max-staleness", "audience", "log-level", "algorithm"},
		},
		"public without issuer":  {[]string{"--listen=0.0.0.0:8080"}, []string{"issuer: required"}},
		"issuer in clear":        {[]string{"--issuer=http://auth.example.com"}, []string{"must be https"}},
		"issuer with a slash":    {[]string{"--issuer=https://auth.example.com/"}, []string{"no path"}},
		"issuer is no URL":       {[]string{"--issuer=auth"}, []string{"must be an http or https URL"}},
		"issuer with a query":    {[]string{"--issuer=https://a.example?x=1"}, []string{"no query"}},
		"demo in public":         {[]string{"--demo", "--listen=0.0.0.0:1", "--issuer=https://a.example"}, []string{"demo"}},
		"grace above token life": {[]string{"--refresh-grace=11m"}, []string{"refresh-grace"}},
		"idle above absolute":    {[]string{"--session-idle=1000h"}, []string{"session-absolute"}},
		"publish-ahead too short": {
			[]string{"--publish-ahead=5m", "--jwks-max-age=10m"}, []string{"publish-ahead 5m0s: must exceed"},
		},
		"rotation faster than publication": {[]string{"--rotate-every=30m", "--publish-ahead=1h"}, []string{"rotate-every"}},
		"proxies":                          {[]string{"--trusted-proxies=10.0.0.1,::/x"}, []string{`"10.0.0.1"`, `"::/x"`}},
		"clients":                          {[]string{"--clients=a,b:00,:cd"}, []string{`"a"`, `"b"`, `""`}},
		"replicas without Redis":           {[]string{"--redis-replicas=1"}, []string{"redis: required"}},
		"scopes":                           {[]string{"--scopes=a b"}, []string{"scopes"}},
		"address":                          {[]string{"--listen=8080"}, []string{"want HOST:PORT"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, nil, tt.args...)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not mention %q:\n%v", want, err)
				}
			}
		})
	}
}

// A client's secret given in place of its digest must not end up in the error.
func TestConfigErrorsHideSecrets(t *testing.T) {
	_, err := load(t, nil, "--clients=orders:a-secret-by-mistake")
	if err == nil || strings.Contains(err.Error(), "a-secret-by-mistake") {
		t.Errorf("got %v", err)
	}
}

func TestDeployedConfigurationIsValid(t *testing.T) {
	cfg, err := load(t, nil, "--config", "../../deploy/authd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Issuer != "https://auth.example.com" || len(cfg.TrustedProxies) != 1 {
		t.Errorf("read as %+v", cfg)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "sub", "secret")
	if _, err := readOrMakeSecret(name, false); err == nil {
		t.Error("a missing secret was made without being asked for")
	}
	first, err := readOrMakeSecret(name, true)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := readOrMakeSecret(name, true); err != nil || again != first {
		t.Errorf("read again as %q, %v", again, err)
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readOrMakeSecret(name, true); err == nil {
		t.Error("a secret that others may read was accepted")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "sub", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
