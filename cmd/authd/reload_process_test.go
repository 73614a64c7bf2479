package main_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/keys"
)

// settingsFile is a configuration file that changes.
type settingsFile struct {
	t    *testing.T
	name string
}

func (f settingsFile) write(lines ...string) {
	f.t.Helper()
	if err := os.WriteFile(f.name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func newSettingsFile(t *testing.T, lines ...string) settingsFile {
	t.Helper()
	f := settingsFile{t, filepath.Join(t.TempDir(), "settings")}
	f.write(lines...)
	return f
}

// reload asks by the command.
func (s *server) reload(t *testing.T, config settingsFile) (string, error) {
	t.Helper()
	return command(t.Context(), "", "reload", "--config", config.name, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))
}

func (s *server) metric(t *testing.T, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(getText(t, s.Admin+"/metrics"))
	if m == nil {
		t.Fatalf("no metric %s", name)
	}
	return m[1]
}

// introspects tells whether a client with the secret "s3cret…" may introspect.
func (s *server) introspects(t *testing.T, id string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/oauth2/introspect", strings.NewReader("token=x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, "s3cret")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// s3cret is the SHA-256 of "s3cret".
const s3cret = "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"

// traffic checks a token and refreshes until stop, and counts.
func (s *server) traffic(t *testing.T, g grant) (answers *atomic.Int64, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	answers = new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for ; ctx.Err() == nil; answers.Add(1) {
			time.Sleep(20 * time.Millisecond) // others want the processor too
			if status := s.verify(t, g.AccessToken); status != http.StatusOK {
				t.Errorf("a valid token is answered %d", status)
				return
			}
			var status int
			if g, status = s.refresh(t, g.RefreshToken); status != http.StatusOK {
				t.Errorf("a refresh is answered %d", status)
				return
			}
		}
	})
	return answers, func() { cancel(); wg.Wait() }
}

// Settings are taken over while requests are answered, by command and by signal; what wants a restart or is wrong is refused as
// a whole.
func TestReload(t *testing.T) {
	t.Parallel()
	config := newSettingsFile(t, "log_level: warn", "clients: one:"+s3cret, "scopes: [read]", "refresh_replays: 100000")
	data, list := t.TempDir(), filepath.Join(t.TempDir(), "list")
	s := serve(t, data, "--config", config.name)
	s.authd(t, alicesPassword, "user", "add", "alice")
	s.authd(t, alicesPassword, "user", "add", "bob")
	answers, stop := s.traffic(t, s.login(t, "alice", alicesPassword))
	defer stop()
	if !s.introspects(t, "one") || s.introspects(t, "two") || s.metric(t, "authd_config_reload_success") != "1" {
		t.Fatal("it does not start as it should")
	}
	if out, err := s.reload(t, config); err != nil || out != "settings read again: none had changed\n" {
		t.Errorf("nothing has changed: %v, %s", err, out)
	}

	if err := os.WriteFile(list, []byte("a very uncommon one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config.write("log_level: debug", "clients: two:"+s3cret, "scopes: [read, write]", "refresh_replays: 100000",
		"password_blocklist: "+list, "rate_limits: ['introspect=token-bucket 2/1h']")
	out, err := s.reload(t, config)
	if err != nil || out != "taken over: clients, log-level, password-blocklist, rate-limits, scopes\n" {
		t.Errorf("reload: %v, %s", err, out)
	}
	if s.introspects(t, "one") || !s.introspects(t, "two") || !strings.Contains(s.get(t, "/.well-known/oauth-authorization-server"), `"write"`) {
		t.Error("the settings are not in effect")
	}
	weak := func(password string) bool {
		out, err := command(t.Context(), password, "user", "passwd", "bob", "--data", data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))
		return err != nil && strings.Contains(out, "password")
	}
	if !weak("a very uncommon one") {
		t.Error("a password that is on the list now is accepted")
	}
	for range 4 {
		s.introspects(t, "two")
	}
	if s.introspects(t, "two") {
		t.Error("the new limit does not count")
	}
	until(t, "requests in the log", func() bool {
		return strings.Contains(s.out.String(), `"level":"DEBUG"`) || strings.Contains(s.out.String(), `"level":"INFO"`)
	})

	before := s.metric(t, "authd_config_reload_timestamp_seconds")
	for name, bad := range map[string]struct {
		lines []string
		want  []string
	}{
		"wants a restart": {
			[]string{"log_level: error", "clients: one:" + s3cret, "access_ttl: 5m", "session_idle: 24h"},
			[]string{"access-ttl, refresh-replays, session-idle: a change wants a restart; nothing was changed"},
		},
		"wrong":         {[]string{"log_level: loud", "clients: nonsense", "refresh_replays: 100000"}, []string{"log-level", "clients"}},
		"not a setting": {[]string{"log_levels: debug"}, []string{"log_levels: no such setting"}},
		"no list":       {[]string{"clients: one:" + s3cret, "refresh_replays: 100000", "password_blocklist: /nowhere"}, []string{"/nowhere"}},
	} {
		config.write(bad.lines...)
		out, err := s.reload(t, config)
		for _, want := range bad.want {
			if err == nil || !strings.Contains(out, want) {
				t.Errorf("%s: %v, want %q in\n%s", name, err, want, out)
			}
		}
		if s.metric(t, "authd_config_reload_success") != "0" || s.metric(t, "authd_config_reload_timestamp_seconds") != before {
			t.Errorf("%s: the metrics do not tell", name)
		}
		if !strings.Contains(s.get(t, "/.well-known/oauth-authorization-server"), `"write"`) {
			t.Errorf("%s: something was taken over", name)
		}
	}

	config.write("log_level: debug", "clients: one:"+s3cret, "refresh_replays: 100000")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "SIGHUP is heard", func() bool { return s.introspects(t, "one") && s.metric(t, "authd_config_reload_success") == "1" })
	if weak("a very uncommon one") {
		t.Error("a password that is on no list any more is refused")
	}
	if after := s.metric(t, "authd_config_reload_timestamp_seconds"); after <= before {
		t.Errorf("the settings were taken over at %s, those before at %s", after, before)
	}
	n := answers.Load()
	until(t, "traffic that goes on", func() bool { return answers.Load() > n })
	stop()
	log, err := os.ReadFile(filepath.Join(data, "audit.log"))
	if err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{`"type":"config_reloaded"`: 7, `"reason":"refused"`: 4, `"settings":"clients log-level password-blocklist rate-limits scopes"`: 2} {
		if got := strings.Count(string(log), want); got != n {
			t.Errorf("the audit log has %s %d times, want %d", want, got, n)
		}
	}
}

// The key-encryption key is changed without a restart: what is sealed follows, and the old one may go.
func TestReloadKEK(t *testing.T) {
	t.Parallel()
	file := newKEK(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	old, next := strings.TrimSpace(string(text)), keys.GenerateKEK().Reveal()
	config, data := newSettingsFile(t, "kek_file: "+file, "refresh_replays: 100000"), t.TempDir()
	s := serve(t, data, "--config", config.name, "--issuer", "http://127.0.0.1:1")
	s.authd(t, alicesPassword, "user", "add", "alice")
	g := s.login(t, "alice", alicesPassword)
	_, stop := s.traffic(t, g)
	defer stop()
	put := func(keks ...string) (string, error) {
		if err := os.WriteFile(file, []byte(strings.Join(keks, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return s.reload(t, config)
	}
	if out, err := put(next); err == nil || !strings.Contains(out, "which is not in it") {
		t.Errorf("a file without the key that seals: %v, %s", err, out)
	}
	for _, keks := range [][]string{{old, next}, {next, old}} {
		if out, err := put(keks...); err != nil {
			t.Fatalf("%v, %s", err, out)
		}
	}
	until(t, "the ring sealed under the new key", func() bool { _, err := put(next); return err == nil })
	stop()
	s.kill()
	s = serve(t, data, "--config", config.name, "--issuer", "http://127.0.0.1:1")
	if status := s.verify(t, g.AccessToken); status != http.StatusOK {
		t.Errorf("after a start with the new key alone: %d", status)
	}
}

// The password of Redis is changed without a restart.
func TestReloadRedisPassword(t *testing.T) {
	t.Parallel()
	addr := testenv.Redis(t)
	admin := redis.NewClient(&redis.Options{Addr: addr})
	defer admin.Close()
	password := filepath.Join(t.TempDir(), "password")
	set := func(old, text string) {
		t.Helper()
		if err := os.WriteFile(password, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		rules := []any{"ACL", "SETUSER", "authd", "on", ">" + text, "~*", "+@all"}
		if old != "" {
			rules = append(rules, "<"+old)
		}
		if err := admin.Do(t.Context(), rules...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("", "first")
	config := newSettingsFile(t, "redis: redis://authd@"+addr, "redis_password_file: "+password, "kek_file: "+newKEK(t))
	s := serve(t, t.TempDir(), "--config", config.name, "--demo")
	g := s.login(t, demoUser, demoPassword)
	set("first", "second")
	if out, err := s.reload(t, config); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	for _, kind := range []string{"normal", "pubsub"} {
		if err := admin.Do(t.Context(), "CLIENT", "KILL", "USER", "authd", "TYPE", kind).Err(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "a refresh over a new connection", func() bool { _, status := s.refresh(t, g.RefreshToken); return status == http.StatusOK })
	if err := os.Chmod(password, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := s.reload(t, config); err == nil || !strings.Contains(out, "redis-password-file") || strings.Contains(out, "second") {
		t.Errorf("a password that others may read: %v, %s", err, out)
	}
}

// A file that describes users is not read again, so a change of it is not passed over in silence.
func TestReloadUserFile(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "webhook.yaml")
	write := func(timeout time.Duration) {
		text := fmt.Sprintf("url: http://127.0.0.1:1/\nsecret_file: %s\ntimeout: %v\n", secret, timeout)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(time.Second)
	config := newSettingsFile(t, "users: [sqlite, 'webhook:"+file+"']")
	s := serve(t, t.TempDir(), "--config", config.name)
	write(2 * time.Second)
	if out, err := s.reload(t, config); err == nil || !strings.Contains(out, "webhook.yaml: a change of the file wants a restart") {
		t.Errorf("%v, %s", err, out)
	}
	write(time.Second)
	if out, err := s.reload(t, config); err != nil {
		t.Errorf("%v, %s", err, out)
	}
}
