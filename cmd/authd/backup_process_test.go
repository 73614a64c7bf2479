package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/backup"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/mfa/mfatest"
	"github.com/authd-project/authd/middleware"
)

// installation is an authd at one address, with a service that follows it, which outlives it.
type installation struct {
	*server
	t       *testing.T
	listen  string
	service http.Handler
}

func install(t *testing.T, data string, args ...string) *installation {
	t.Helper()
	i := &installation{t: t, listen: freeAddress(t)}
	i.start(data, args...)
	guard, err := middleware.New(t.Context(), i.URL, middleware.Options{Audience: "authd"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(guard.Close)
	i.service = guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return i
}

// start starts authd on another folder, at the same address.
func (i *installation) start(data string, args ...string) {
	i.t.Helper()
	i.server = serve(i.t, data, append([]string{"--listen", i.listen}, args...)...)
}

// ask sends a request to the service.
func (i *installation) ask(g grant) (status int) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+g.AccessToken)
	i.service.ServeHTTP(w, r)
	return w.Code
}

// backUp takes a backup of the running authd.
func (i *installation) backUp() (file, said string) {
	i.t.Helper()
	file = filepath.Join(i.t.TempDir(), "backup.tar")
	return file, i.authd(i.t, "", "backup", file)
}

// restore restores a backup to a new folder, where the key-encryption key of the old one is.
func restore(t *testing.T, file, kek string, args ...string) (data, said string) {
	t.Helper()
	data = t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "kek"), []byte(kek), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := command(t.Context(), "", append([]string{"restore", file, "--data", data, "--admin-listen", "127.0.0.1:1"}, args...)...)
	if err != nil {
		t.Fatalf("restore: %v\n%s", err, said)
	}
	return data, said
}

func (i *installation) kek() string {
	i.t.Helper()
	text, err := os.ReadFile(filepath.Join(i.Data, "kek"))
	if err != nil {
		i.t.Fatal(err)
	}
	return string(text)
}

// enrol gives a user an authenticator app, and returns its secret.
func (s *server) enrol(t *testing.T, g grant) (secret string) {
	t.Helper()
	var app struct{ Enrolment, Secret string }
	if status := s.call(t, http.MethodPost, "/v1/factors/totp", g.AccessToken, map[string]string{}, &app); status != http.StatusOK {
		t.Fatalf("enrolment: %d", status)
	}
	code, err := mfatest.Code(app.Secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	confirmation := map[string]string{"enrolment": app.Enrolment, "code": code}
	if status := s.call(t, http.MethodPost, "/v1/factors/totp/confirm", g.AccessToken, confirmation, nil); status/100 != 2 {
		t.Fatalf("confirmation: %d", status)
	}
	return app.Secret
}

// loginWithApp logs a user in by password and authenticator app, a little ahead of time, as each code works once.
func (s *server) loginWithApp(t *testing.T, username, secret string) (g grant) {
	t.Helper()
	body := `{"username":"` + username + `","password":"` + alicesPassword + `"}`
	resp, err := http.Post(s.URL+"/v1/login", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var wanted struct {
		State string `json:"login_state"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&wanted); err != nil || wanted.State == "" {
		t.Fatalf("a login with a factor: %s, %v", resp.Status, err)
	}
	code, err := mfatest.Code(secret, time.Now().Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	presented := map[string]string{"login_state": wanted.State, "code": code}
	if status := s.call(t, http.MethodPost, "/v1/login/factor", "", presented, &g); status != http.StatusOK {
		t.Fatalf("a code of the app: %d", status)
	}
	return g
}

// The trap of every backup: what came after it is forgotten. A logout after the backup, a session that was stolen, a key that
// was revoked hold all the same, at authd and at a service that never stopped.
func TestRestoreUndoesNoLogout(t *testing.T) {
	t.Parallel()
	i := install(t, t.TempDir(), "--refresh-replays=100000")
	i.authd(t, alicesPassword, "user", "add", "alice")
	i.authd(t, alicesPassword, "user", "add", "bob")
	stays, leaves := i.login(t, "alice", alicesPassword), i.login(t, "alice", alicesPassword)
	secret := i.enrol(t, i.login(t, "bob", alicesPassword))
	kid := keyID(t, stays.AccessToken)

	// While it is taken nobody waits.
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		for ctx.Err() == nil {
			if g, status := i.refresh(t, stays.RefreshToken); status == http.StatusOK {
				stays = g
			} else if ctx.Err() == nil {
				t.Errorf("a refresh beside the backup: %d", status)
			}
		}
	})
	file, said := i.backUp()
	stop()
	working.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup: %v, %v", info, err)
	}
	if !strings.Contains(said, "is NOT in it") {
		t.Errorf("backup said\n%s", said)
	}
	if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte(strings.TrimSpace(i.kek()))) {
		t.Errorf("the key-encryption key is in the backup: %v", err)
	}

	i.logout(t, leaves, "session")
	newer := i.login(t, "alice", alicesPassword)
	i.authd(t, "", "keys", "revoke", kid, "--yes")
	until(t, "another key that signs", func() bool { _, status := i.refresh(t, newer.RefreshToken); return status == http.StatusOK })
	until(t, "the logout and the revoked key at the service", func() bool { return i.ask(leaves) == 401 && i.ask(stays) == 401 })
	second, _ := i.refresh(t, newer.RefreshToken)
	i.kill()

	data, said := restore(t, file, i.kek())
	if !strings.Contains(said, "sessions ended") || strings.Contains(said, "Put the key-encryption key") {
		t.Errorf("restore said\n%s", said)
	}
	i.start(data)
	for name, g := range map[string]grant{"before the backup": stays, "logged out after it": leaves, "begun after it": second} {
		if status := i.verify(t, g.AccessToken); status != http.StatusUnauthorized {
			t.Errorf("a session %s: its token is answered %d", name, status)
		}
		if _, status := i.refresh(t, g.RefreshToken); status != http.StatusUnauthorized {
			t.Errorf("a session %s: its refresh is answered %d", name, status)
		}
		until(t, "a refusal at the service of a session "+name, func() bool { return i.ask(g) == http.StatusUnauthorized })
	}
	if strings.Contains(i.jwks(t), kid) {
		t.Error("a key that was revoked after the backup is published again")
	}
	if list := i.authd(t, "", "keys", "list"); !regexp.MustCompile(kid + `\s+ES256\s+revoked`).MatchString(list) {
		t.Errorf("the key of the backup:\n%s", list)
	}

	// What goes on: accounts, factors, and a service that follows what comes next.
	g := i.login(t, "alice", alicesPassword)
	until(t, "a new token at the service", func() bool { return i.ask(g) == http.StatusOK })
	i.logout(t, g, "session")
	until(t, "a new logout at the service", func() bool { return i.ask(g) == http.StatusUnauthorized })
	i.loginWithApp(t, "bob", secret)
}

// Who accepts that logouts are forgotten keeps the sessions, and is told what that means.
func TestRestoreKeepsSessionsWhereAsked(t *testing.T) {
	t.Parallel()
	i := install(t, t.TempDir())
	i.authd(t, alicesPassword, "user", "add", "alice")
	stays, leaves := i.login(t, "alice", alicesPassword), i.login(t, "alice", alicesPassword)
	gone := i.login(t, "alice", alicesPassword)
	i.logout(t, gone, "session")
	file, _ := i.backUp()
	i.logout(t, leaves, "session")
	kid := keyID(t, stays.AccessToken)
	i.terminate(t)

	data, said := restore(t, file, i.kek(), "--keep-sessions")
	if !strings.Contains(said, "logged out after the backup is logged in again") {
		t.Errorf("restore said\n%s", said)
	}
	i.start(data)
	if status := i.verify(t, stays.AccessToken); status != http.StatusOK {
		t.Errorf("a session that goes on: its token is answered %d", status)
	}
	for name, tt := range map[string]struct {
		g    grant
		want int
	}{"that goes on": {stays, 200}, "logged out after the backup": {leaves, 200}, "logged out before it": {gone, 401}} {
		if _, status := i.refresh(t, tt.g.RefreshToken); status != tt.want {
			t.Errorf("a session %s: its refresh is answered %d", name, status)
		}
	}
	if g, _ := i.refresh(t, stays.RefreshToken); keyID(t, g.AccessToken) != kid {
		t.Error("another key signs")
	}
	// The service had heard of the logout, and goes on refusing.
	if status := i.ask(leaves); status != http.StatusUnauthorized {
		t.Errorf("the service has forgotten a logout: %d", status)
	}
	g := i.login(t, "alice", alicesPassword)
	i.logout(t, g, "session")
	until(t, "a new logout at the service", func() bool { return i.ask(g) == http.StatusUnauthorized })
}

// Whatever is wrong is said before anything is changed, and leaves nothing behind.
func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	i := install(t, data)
	i.authd(t, alicesPassword, "user", "add", "alice")
	file, _ := i.backUp()
	if out, err := command(t.Context(), "", "backup", file, "--data", data, "--admin-listen", strings.TrimPrefix(i.Admin, "http://")); err == nil || !strings.Contains(out, "exists") {
		t.Errorf("a backup was overwritten: %v\n%s", err, out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name, want string, archive []byte, data string, args ...string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "backup.tar")
		if err := os.WriteFile(file, archive, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := command(t.Context(), "", append([]string{"restore", file, "--data", data, "--admin-listen", "127.0.0.1:1"}, args...)...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v, and does not say %q:\n%s", name, err, want, out)
		}
	}
	empty := t.TempDir()
	refused("a folder in use", "not empty", whole, data)
	refused("a running authd", "stop authd first", whole, empty, "--admin-listen", strings.TrimPrefix(i.Admin, "http://"))
	refused("a file that was cut off", "damaged", whole[:len(whole)/2], empty)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/3] ^= 1
	refused("a flipped bit", "damaged", flipped, empty)
	refused("another file", "not a backup", []byte(strings.Repeat("text ", 1000)), empty)
	i.terminate(t)
	refused("one of a newer authd", "newer", newerBackup(t, data), empty)
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	// A restoration that was killed: authd does not start on what there is, and the next one does it all.
	if err := os.MkdirAll(filepath.Join(empty, ".restoring"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"users.db", ".restoring/moved-users.db", ".restoring/authd.db"} {
		if err := os.WriteFile(filepath.Join(empty, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := command(t.Context(), "", "user", "list", "--data", empty, "--admin-listen", "127.0.0.1:1"); err == nil || !strings.Contains(out, "run authd restore again") {
		t.Errorf("authd uses half a restoration: %v\n%s", err, out)
	}
	if out, err := command(t.Context(), string(whole), "restore", "-", "--data", empty, "--admin-listen", "127.0.0.1:1", "--without-factors"); err != nil {
		t.Fatalf("restore after a crash: %v\n%s", err, out)
	}
	if out, err := command(t.Context(), "", "user", "list", "--data", empty, "--admin-listen", "127.0.0.1:1"); err != nil || !strings.Contains(out, "alice") {
		t.Errorf("after it: %v\n%s", err, out)
	}
}

// newerBackup is a backup of a folder that an authd of some releases later has used.
func newerBackup(t *testing.T, data string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "authd.db"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "authd.db")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	steps := slices.Repeat([]func(*bbolt.Tx) error{func(*bbolt.Tx) error { return nil }}, 9)
	if err := errors.Join(file.Upgrade(t.Context(), boltfile.Schema{Steps: steps, Release: "9.0"}), file.Close()); err != nil {
		t.Fatal(err)
	}
	if text, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Header{MadeAt: time.Now(), MadeBy: "9.0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Add("authd.db", int64(len(text)), bytes.NewReader(text)), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The commands of docs/backup.md print what it says.
func TestBackupGuide(t *testing.T) {
	t.Parallel()
	places := strings.NewReplacer("127.0.0.1:808", freePorts(t), "127.0.0.1:909", freePorts(t))
	docs.Shell{Env: path(), Places: places}.Run(t, docs.Steps(t, "docs/backup.md"))
}
