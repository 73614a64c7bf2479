package main_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

const alicesPassword = "seven lean oxen plough"

// The commands do the same whether an authd runs on the data folder or not.
func TestCommandsWithAndWithoutServer(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	off := func(stdin string, args ...string) string {
		t.Helper()
		// A port of loopback where nothing listens, so that no other authd of this machine is asked.
		out, err := command(t.Context(), stdin, append(args, "--data", data, "--admin-listen", "127.0.0.1:1")...)
		if err != nil {
			t.Fatalf("authd %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}

	if out := off(alicesPassword+"\n", "user", "add", "alice", "--role", "admin"); !strings.Contains(out, "added alice") {
		t.Errorf("user add printed %q", out)
	}
	if out := off("", "user", "list"); !regexp.MustCompile(`(?m)^alice\s+\S{22}\s+admin\s+enabled`).MatchString(out) {
		t.Errorf("user list printed\n%s", out)
	}
	active := regexp.MustCompile(`(?m)^(\S+)\s+ES256\s+active`)
	before := active.FindString(off("", "keys", "list"))

	s := serve(t, data)
	if now := active.FindString(s.authd(t, "", "keys", "list")); before == "" || now != before {
		t.Errorf("the active key was %q and is %q", before, now)
	}
	g := s.login(t, "alice", alicesPassword)
	if out := s.authd(t, "", "session", "list", "alice"); !strings.Contains(out, g.SessionID) {
		t.Errorf("session list printed\n%s", out)
	}
	s.authd(t, "", "session", "end", g.SessionID)
	if got := s.verify(t, g.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("a session ended by command answers %d", got)
	}

	g = s.login(t, "alice", alicesPassword)
	s.terminate(t)
	off("", "session", "end", "--user", "alice")
	s = serve(t, data, "--issuer", s.URL)
	if got := s.verify(t, g.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("a session ended while the server was down answers %d", got)
	}
}

func TestUserChangesEndSessions(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	s.authd(t, alicesPassword, "user", "add", "alice")
	ends := func(command string, change func()) {
		t.Helper()
		g := s.login(t, "alice", alicesPassword)
		change()
		if got := s.verify(t, g.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("after user %s an access token answers %d", command, got)
		}
		if _, got := s.refresh(t, g.RefreshToken); got == http.StatusOK {
			t.Errorf("after user %s a refresh succeeds", command)
		}
	}
	ends("passwd", func() {
		s.authd(t, "another long password\n", "user", "passwd", "alice")
		s.authd(t, alicesPassword, "user", "passwd", "alice")
	})
	ends("disable", func() { s.authd(t, "", "user", "disable", "alice") })
	if status := s.call(t, http.MethodPost, "/v1/login", "", map[string]string{"username": "alice", "password": alicesPassword}, nil); status != http.StatusUnauthorized {
		t.Errorf("a disabled user logs in with %d", status)
	}
	s.authd(t, "", "user", "enable", "alice")
	ends("remove", func() { s.authd(t, "", "user", "remove", "alice") })
}

func TestKeyCommands(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), append(fastestRotation, "--rotate-every=1h", "--demo")...)
	state := func(kid string) string {
		t.Helper()
		for line := range strings.Lines(s.authd(t, "", "keys", "list")) {
			if f := strings.Fields(line); f[0] == kid {
				return f[2]
			}
		}
		return "gone"
	}
	g := s.login(t, demoUser, demoPassword)
	first := keyID(t, g.AccessToken)

	out, err := command(t.Context(), "", "keys", "revoke", first, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))
	if err == nil || !strings.Contains(out, "refuses every token it signed") || !strings.Contains(out, "--yes") {
		t.Errorf("keys revoke without a terminal printed %v\n%s", err, out)
	}
	if got := state(first); got != "active" {
		t.Fatalf("the key is %s though nobody confirmed", got)
	}
	s.authd(t, "", "keys", "revoke", first, "--yes")
	if got := s.verify(t, g.AccessToken); got != http.StatusUnauthorized {
		t.Errorf("a token of a revoked key answers %d", got)
	}
	g, status := s.refresh(t, g.RefreshToken)
	if status != http.StatusOK || s.verify(t, g.AccessToken) != http.StatusOK {
		t.Errorf("after a key was revoked, a refresh answers %d", status)
	}
	second := keyID(t, g.AccessToken)

	// Rotation by hand waits until verifiers know the standby, and says for how long.
	deadline := time.Now().Add(30 * time.Second)
	for {
		out, err := command(t.Context(), "", "keys", "rotate", "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("never rotated: %s", out)
		}
		wait(t, 200*time.Millisecond)
	}
	if got := state(second); got != "retired" {
		t.Errorf("the rotated key is %s", got)
	}
	if got := s.verify(t, g.AccessToken); got != http.StatusOK {
		t.Errorf("a token of a retired key answers %d", got)
	}
}

func TestRevokeOnEveryAxis(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	// Twice within a second by a cut-off: the second must hit the tokens that were issued since the first.
	for _, axis := range []string{"jti", "sid", "sub", "sub", "username", "client_id", "client_id", "client_id", "all", "all", "all"} {
		g := s.login(t, demoUser, demoPassword)
		claims := claimsOf(t, g.AccessToken)
		args := map[string][]string{
			"jti": {"jti", claims.ID}, "sid": {"sid", claims.SessionID}, "sub": {"sub", claims.Subject},
			"username": {"username", demoUser}, "client_id": {"client_id", claims.ClientID}, "all": {"all", "--yes"},
		}[axis]
		s.authd(t, "", append([]string{"revoke"}, args...)...)
		if got := s.verify(t, g.AccessToken); got != http.StatusUnauthorized {
			t.Errorf("revoked by %s, the token answers %d", axis, got)
		}
		if g := s.login(t, demoUser, demoPassword); s.verify(t, g.AccessToken) != http.StatusOK {
			t.Errorf("after revoking by %s, a new login is refused", axis)
		}
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), "", "client", "new", "orders")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`once\):\n\s+(\S+)\n.*\n\s+clients: \[(\S+)\]`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("client new printed\n%s", out)
	}
	s := serve(t, t.TempDir(), "--demo", "--clients", m[2])
	g := s.login(t, demoUser, demoPassword)
	introspect := func(secret string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/oauth2/introspect",
			strings.NewReader(url.Values{"token": {g.AccessToken}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("orders", secret)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := introspect(m[1]); got != http.StatusOK {
		t.Errorf("introspection by the new client answers %d", got)
	}
	if got := introspect(m[1] + "x"); got != http.StatusUnauthorized {
		t.Errorf("introspection with a wrong secret answers %d", got)
	}
}

// Bad input to commands gets an error that says what to do, and never a password back.
func TestCommandErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	for _, tt := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"short", []string{"user", "add", "bob"}, "8"},
		{"", []string{"user", "add", "bob"}, "no password on standard input"},
		{alicesPassword, []string{"user", "add", demoUser}, "exists"},
		{alicesPassword, []string{"user", "add", "bad\nname"}, "username"},
		{"", []string{"user", "disable", "nobody"}, "no such user"},
		{"", []string{"session", "end"}, "--user"},
		{"", []string{"session", "end", "not-an-id"}, "id"},
		{"", []string{"session", "list", "nobody"}, "no such user"},
		{"", []string{"keys", "revoke", "nokey"}, "key"},
		{"", []string{"revoke", "jti"}, "required"},
		{"", []string{"revoke", "color", "blue"}, "must be"},
		{"", []string{"revoke", "kid", "k"}, "authd keys revoke"},
	} {
		args := append(tt.args, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))
		out, err := command(t.Context(), tt.stdin, args...)
		if err == nil || !strings.Contains(strings.ToLower(out), strings.ToLower(tt.want)) {
			t.Errorf("authd %q: %v, and does not say %q:\n%s", tt.args, err, tt.want, out)
		}
		if tt.stdin != "" && strings.Contains(out, tt.stdin) {
			t.Errorf("authd %q repeats the password", tt.args)
		}
	}
	for _, args := range [][]string{
		{"serve", "--nonsense"}, {"nonsense"}, {"serve", "extra"}, {"token", "inspect", "not.a.token"},
		{"serve", "--data", s.Data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"}, // in use
		{"user", "list", "--data", s.Data, "--admin-listen", "127.0.0.1:1"},                     // in use, elsewhere
	} {
		if out, err := command(t.Context(), "", args...); err == nil {
			t.Errorf("authd %q succeeded:\n%s", args, out)
		}
	}
}

func TestInspectShowsNoSignature(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--demo")
	g := s.login(t, demoUser, demoPassword)
	out, err := command(t.Context(), g.AccessToken, "token", "inspect")
	if err != nil || !strings.Contains(out, `"typ": "at+jwt"`) || !strings.Contains(out, g.SessionID) {
		t.Errorf("token inspect: %v\n%s", err, out)
	}
	if signature := g.AccessToken[strings.LastIndexByte(g.AccessToken, '.')+1:]; strings.Contains(out, signature) {
		t.Error("token inspect prints the signature")
	}
	if out, err := command(t.Context(), g.AccessToken, "token", "verify", "--issuer", s.URL); err != nil || !strings.Contains(out, "valid: subject") {
		t.Errorf("token verify: %v\n%s", err, out)
	}
	s.logout(t, g, "session")
	if out, err := command(t.Context(), g.AccessToken, "token", "verify", "--issuer", s.URL); err == nil || !strings.Contains(out, "revoked") {
		t.Errorf("token verify of a revoked token: %v\n%s", err, out)
	}
}
