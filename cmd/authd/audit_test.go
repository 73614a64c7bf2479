package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/authd-project/authd/audit/webhook"
	"github.com/authd-project/authd/internal/docs"
)

// auditLine is what tests look at in a line of the audit log.
type auditLine struct {
	Type, Outcome, Reason, Sub, Username, Sid, Address string
	Actor                                              struct{ Type, ID string }
	Details                                            map[string]string
}

// auditLines reads an audit log, each line of which must match the schema.
func auditLines(t *testing.T, path string) (list []auditLine) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../../docs/audit-event.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s breaks the schema: %v", line, err)
		}
		var l auditLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		list = append(list, l)
	}
	return list
}

// What happens in and around a real authd is in its audit log, in a chain, and no secret is.
func TestAuditLog(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	// The test rotates keys, and is several addresses.
	args := append(fastestRotation, "--rotate-every=1h", "--trusted-proxies=127.0.0.1/32", "--rate-limits=me=fixed-window 1/1h", "--refresh-replays=1")
	s := serve(t, data, args...)
	s.authd(t, alicesPassword+"\n", "user", "add", "alice")
	from := func(address, path string, body string, bearer string) (int, grant) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Forwarded-For", address)
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var g grant
		text, _ := io.ReadAll(resp.Body)
		_ = json.Unmarshal(text, &g)
		return resp.StatusCode, g
	}
	login := fmt.Sprintf(`{"username":"alice","password":%q}`, alicesPassword)
	_, one := from("192.0.2.1", "/v1/login", login, "")
	_, _ = from("192.0.2.1", "/v1/login", `{"username":"alice","password":"wrong"}`, "")
	_, two := from("192.0.2.2", "/v1/login", login, "")
	if status, _ := from("192.0.2.9", "/v1/refresh", fmt.Sprintf(`{"refresh_token":%q}`, two.RefreshToken), ""); status != http.StatusOK {
		t.Fatalf("a retry of a refresh: %d", status)
	}
	if status, _ := from("192.0.2.1", "/v1/logout", `{"scope":"others"}`, one.AccessToken); status != http.StatusNoContent {
		t.Fatalf("logout: %d", status)
	}
	_, three := from("192.0.2.3", "/v1/login", login, "")
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} { // a retry, and one too many
		if status, _ := from("192.0.2.3", "/v1/refresh", fmt.Sprintf(`{"refresh_token":%q}`, three.RefreshToken), ""); status != want {
			t.Fatalf("a replayed refresh token: %d, want %d", status, want)
		}
	}
	s.authd(t, "", "session", "end", one.SessionID)
	for range 2 {
		s.call(t, http.MethodGet, "/v1/me", "", nil, nil)
	}
	active := regexp.MustCompile(`(?m)^(\S+)\s+ES256\s+active`)
	kid := active.FindStringSubmatch(s.authd(t, "", "keys", "list"))[1]
	s.authd(t, "", "keys", "revoke", kid, "--yes")
	until(t, "the next key", func() bool {
		m := active.FindStringSubmatch(s.authd(t, "", "keys", "list"))
		return m != nil && m[1] != kid
	})
	s.authd(t, "", "user", "disable", "alice")
	log := filepath.Join(data, "audit.log")
	seen := func(want ...string) bool {
		var have []string
		for _, l := range auditLines(t, log) {
			have = append(have, strings.TrimSpace(strings.Join([]string{l.Type, l.Outcome, l.Reason, l.Actor.Type, l.Address}, " ")))
		}
		text := "\n" + strings.Join(have, "\n") + "\n"
		for _, w := range want {
			if !regexp.MustCompile("\n" + w + "\n").MatchString(text) {
				t.Logf("no %s in%s", w, text)
				return false
			}
		}
		return true
	}
	// The leader is noticed a moment after it leads, and its key a moment after it signs.
	until(t, "all events", func() bool {
		return seen(
			`started success  system`, `leader_changed success  system`, `user_added success  admin 127.0.0.1`,
			`login_new_address success  user 192.0.2.1`, `login success  user 192.0.2.1`, `login failure invalid_credentials anonymous 192.0.2.1`,
			`login_new_address success  user 192.0.2.2`, `refresh_elsewhere success  user 192.0.2.9`,
			`session_ended success user user 192.0.2.1`, `logout success  user 192.0.2.1`, `session_ended success administrator admin 127.0.0.1`,
			`refresh_reused failure  anonymous 192.0.2.3`, `session_ended success reuse anonymous 192.0.2.3`,
			`rate_limited failure rate_limited anonymous 127.0.0.1`, `key_revoked success  admin 127.0.0.1`, `key_active success  system`,
			`user_disabled success  admin 127.0.0.1`,
		)
	})

	s.kill()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		"a password": alicesPassword, "an access token": one.AccessToken, "a JWT": "eyJ", "a refresh token": "authd_rt_",
	} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the audit log holds %s", name)
		}
	}
	before := len(auditLines(t, log))
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t.Context(), "", "audit", "verify", log+".1"); err != nil || !strings.Contains(out, fmt.Sprint(before, " lines, whole")) {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
	if out, err := command(t.Context(), alicesPassword+"\n", "user", "add", "bob", "--data", data, "--admin-listen", "127.0.0.1:1"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if lines := auditLines(t, log); len(lines) == 0 || lines[0].Type != "user_added" && lines[len(lines)-1].Type != "user_added" {
		t.Errorf("a command without a server left %+v", lines)
	}
}

// A log that cannot be written holds up nobody, and with audit-strict lets nobody in.
func TestAuditOnFullDisk(t *testing.T) {
	t.Parallel()
	for _, strict := range []string{"true", "false"} {
		s := serve(t, t.TempDir(), "--demo", "--audit-file=/dev/full", "--audit-strict="+strict)
		status := s.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": demoUser, "password": demoPassword}, nil)
		if want := map[string]int{"true": http.StatusServiceUnavailable, "false": http.StatusOK}[strict]; status != want {
			t.Errorf("strict %s: login answers %d, want %d", strict, status, want)
		}
		resp, err := http.Get(s.Admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		for _, want := range []string{`authd_audit_stuck{sink="file"} 1`, `authd_audit_lost_total{sink="file"} 0`, `authd_audit_events_total{type="login"} 1`} {
			if !strings.Contains(string(text), want) {
				t.Errorf("metrics lack %s", want)
			}
		}
	}
}

// A receiver on the web hears of what it asked for, also of what happened while it was away and authd was killed.
func TestAuditWebhook(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	var away atomic.Bool
	events := make(chan auditLine, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		secret, readErr := os.ReadFile(filepath.Join(data, "audit-webhook-secret"))
		var batch struct{ Events []auditLine }
		err = errors.Join(err, readErr, json.Unmarshal(body, &batch),
			webhook.Verify(bytes.TrimSpace(secret), r.Header.Get(webhook.Header), body, time.Now(), 5*time.Minute))
		if err != nil {
			t.Error(err)
		}
		for _, e := range batch.Events {
			events <- e
		}
	}))
	defer receiver.Close()
	next := func() auditLine {
		t.Helper()
		select {
		case e := <-events:
			return e
		case <-time.After(time.Minute):
			t.Fatal("no event within a minute")
			return auditLine{}
		}
	}
	args := []string{"--demo", "--audit-webhooks=" + receiver.URL + " login_new_address session_ended"}
	s := serve(t, data, args...)
	g := s.login(t, demoUser, demoPassword)
	if e := next(); e.Type != "login_new_address" || e.Username != demoUser || e.Sid != g.SessionID {
		t.Errorf("heard %+v", e)
	}
	away.Store(true)
	s.logout(t, g, "session")
	s.kill()
	away.Store(false)
	serve(t, data, args...)
	if e := next(); e.Type != "session_ended" || e.Sid != g.SessionID {
		t.Errorf("heard %+v", e)
	}
}

// With - the lines go to standard output, and nothing to a file.
func TestAuditOnStandardOutput(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo", "--audit-file=-")
	s.login(t, demoUser, demoPassword)
	line := regexp.MustCompile(`(?m)^\{"v":1,.*"type":"login","outcome":"success".*\}$`)
	until(t, "the line", func() bool { return line.MatchString(s.out.String()) }) // the pipe is read by and by
	if _, err := os.Stat(filepath.Join(s.Data, "audit.log")); err == nil {
		t.Error("there is a file, too")
	}
	s.terminate(t)
}

// The commands of docs/audit.md print what it says.
func TestAuditGuide(t *testing.T) {
	t.Parallel()
	places := strings.NewReplacer("127.0.0.1:8080", freePorts(t)+"1", "127.0.0.1:8081", freePorts(t)+"2")
	docs.Shell{Env: path(), Places: places}.Run(t, docs.Steps(t, "docs/audit.md"))
}
