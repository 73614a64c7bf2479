package main_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// guideDir is a folder that stands for /etc/authd of the guides.
type guideDir struct {
	path   string
	others []string // in the places of the guides, in pairs
}

// newGuideDir returns one where also other places of the guides are replaced, given in pairs.
func newGuideDir(t *testing.T, places ...string) guideDir {
	t.Helper()
	path := t.TempDir()
	return guideDir{path, append(places, "/etc/authd", path)}
}

// places puts the server in the place of the guides', too.
func (d guideDir) places(s *server) *strings.Replacer {
	return strings.NewReplacer(append([]string{"http://127.0.0.1:8080", s.URL}, d.others...)...)
}

func (d guideDir) write(t *testing.T, name, text string) (file string) {
	t.Helper()
	file = filepath.Join(d.path, name)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(d.others...).Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runUsersGuide runs the commands of a page: the first starts the server that the others speak to.
func runUsersGuide(t *testing.T, steps []docs.Step, d guideDir) *server {
	t.Helper()
	s := serveAs(t, t.TempDir(), strings.NewReplacer(d.others...).Replace(steps[0].Command))
	env := append(path(), "AUTHD_DATA="+s.Data, "AUTHD_ADMIN_LISTEN="+strings.TrimPrefix(s.Admin, "http://"))
	docs.Shell{Env: env, Places: d.places(s)}.Run(t, steps[1:])
	return s
}

// ready reports the answer of the readiness check.
func (s *server) ready(t *testing.T) int {
	t.Helper()
	resp, err := http.Get(s.Admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// becomes waits until a login is answered in a way.
func (s *server) becomes(t *testing.T, want int, username, password string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; wait(t, 50*time.Millisecond) {
		got := s.tryLogin(t, username, password)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a login of %s is answered %d, not %d", username, got, want)
		}
	}
}

// isReadOnly checks that no command changes a user.
func (s *server) isReadOnly(t *testing.T, username string) {
	t.Helper()
	for _, verb := range []string{"passwd", "disable", "enable", "remove"} {
		args := []string{"user", verb, username, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://")}
		if out, err := command(t.Context(), alicesPassword+"\n", args...); err == nil || !strings.Contains(out, "only reads") {
			t.Errorf("authd user %s %s: %v, and does not say that authd only reads:\n%s", verb, username, err, out)
		}
	}
}

// claims returns what an access token says.
func (g grant) claims(t *testing.T) (c struct {
	Subject string   `json:"sub"`
	Roles   []string `json:"roles"`
}) {
	t.Helper()
	payload := strings.Split(g.AccessToken, ".")[1]
	data, err := rawBase64(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// The guide to LDAP, and what becomes of its users when the directory changes or fails.
func TestLDAPGuide(t *testing.T) {
	t.Parallel()
	directory := testenv.NewLDAP(t)
	directory.Apply(t, regexp.MustCompile(`(?m)^(dn: .*)$`).ReplaceAllString(docs.File(t, "docs/users-ldap.md", "people.ldif"), "$1\nchangetype: add"))
	ca, err := os.ReadFile(directory.CA)
	if err != nil {
		t.Fatal(err)
	}
	d := newGuideDir(t, "ldaps://ldap.example.com", "ldaps://"+directory.AddrTLS)
	d.write(t, "ldap-ca.pem", string(ca))
	d.write(t, "ldap-password", "a long password that nobody types\n")
	file := d.write(t, "ldap.yaml", docs.File(t, "docs/users-ldap.md", "ldap.yaml"))
	s := runUsersGuide(t, docs.Steps(t, "docs/users-ldap.md"), d)
	if !strings.Contains(s.out.String(), "users.db, then ldap:"+file+", read only") {
		t.Error("the announcement does not say where the users are")
	}

	const password = "violin marmalade tundra"
	alice := s.login(t, "alice", password)
	if c := alice.claims(t); !strings.HasPrefix(c.Subject, "ldap:") || len(c.Roles) != 1 || c.Roles[0] != "admin" {
		t.Errorf("the token says %+v", c)
	}
	if out := s.authd(t, "", "session", "list", "alice"); !strings.Contains(out, alice.SessionID) {
		t.Errorf("session list printed\n%s", out)
	}
	s.isReadOnly(t, "alice")
	s.authd(t, alicesPassword+"\n", "user", "add", "bob")
	for _, login := range [][2]string{{"alice", "wrong"}, {"alice", ""}, {"alice", alicesPassword}, {"bob", password}, {"*", password}, {"alice)(uid=*", password}} {
		if got := s.tryLogin(t, login[0], login[1]); got != http.StatusUnauthorized && got != http.StatusBadRequest {
			t.Errorf("a login of %q with %q is answered %d", login[0], login[1], got)
		}
	}

	directory.Stop()
	if got := s.tryLogin(t, "alice", password); got != http.StatusServiceUnavailable {
		t.Errorf("without the directory a login answers %d", got)
	}
	if _, got := s.refresh(t, alice.RefreshToken); got != http.StatusServiceUnavailable {
		t.Errorf("without the directory a refresh answers %d", got)
	}
	if got := s.tryLogin(t, "bob", alicesPassword); got != http.StatusOK {
		t.Errorf("without the directory a user of authd's own logs in with %d", got)
	}
	if got := s.ready(t); got != http.StatusOK {
		t.Errorf("without the directory readiness answers %d", got)
	}
	if err := directory.Start(); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, http.StatusOK, "alice", password)
	alice, got := s.refresh(t, alice.RefreshToken)
	if got != http.StatusOK {
		t.Fatalf("with the directory back a refresh answers %d", got)
	}
	directory.Apply(t, "dn: uid=alice,ou=people,dc=example,dc=com\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")
	if _, got := s.refresh(t, alice.RefreshToken); got != http.StatusUnauthorized {
		t.Errorf("locked in the directory, alice refreshes with %d", got)
	}
	if got := s.tryLogin(t, "alice", password); got != http.StatusUnauthorized {
		t.Errorf("locked in the directory, alice logs in with %d", got)
	}

	// The file for Active Directory is taken, and authd waits for the directory.
	d.others = []string{"/etc/authd", d.path, "dc1.corp.example.com", "127.0.0.1:1", "dc2.corp.example.com", "127.0.0.1:2"}
	file = d.write(t, "ad.yaml", docs.File(t, "docs/users-ldap.md", "ad.yaml"))
	ad := serveAs(t, t.TempDir(), docs.Steps(t, "docs/users.md", 4)[0].Command, "/etc/authd/ldap.yaml", file)
	if got := ad.tryLogin(t, "alice", password); got != http.StatusServiceUnavailable || !strings.Contains(ad.out.String(), "a source does not answer") {
		t.Errorf("while Active Directory does not answer, a login is answered %d", got)
	}

	if strings.Contains(s.out.String(), "a long password that nobody types") || strings.Contains(s.out.String(), password) {
		t.Error("the log has a password")
	}
}

func rawBase64(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }
