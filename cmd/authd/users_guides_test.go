package main_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/testenv"
)

// guideFile returns a file that a page shows behind the marker with its name.
func guideFile(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "<!-- A test uses this as "+name+". -->\n```")
	_, after, opened := strings.Cut(after, "\n")
	block, _, closed := strings.Cut(after, "\n```\n")
	if !found || !opened || !closed {
		t.Fatalf("docs/%s has no %s", page, name)
	}
	return block + "\n"
}

// guideDir is a folder that stands for /etc/authd of the guides.
type guideDir struct {
	path   string
	places *strings.Replacer
}

// newGuideDir returns one where also other places of the guides are replaced, given in pairs.
func newGuideDir(t *testing.T, places ...string) guideDir {
	t.Helper()
	path := t.TempDir()
	return guideDir{path, strings.NewReplacer(append(places, "/etc/authd", path)...)}
}

func (d guideDir) write(t *testing.T, name, text string) (file string) {
	t.Helper()
	file = filepath.Join(d.path, name)
	if err := os.WriteFile(file, []byte(d.places.Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runUsersGuide runs the commands of a page but its first, which starts the server that they speak to.
func runUsersGuide(t *testing.T, page string, s *server, d guideDir) {
	t.Helper()
	for _, step := range transcript(t, "../../docs/"+page)[1:] {
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(step.output), "…", ".*") + "$"
		got := strings.TrimSpace(s.shell(t, d.places.Replace(step.command)))
		if !regexp.MustCompile(pattern).MatchString(spaced(got)) && !regexp.MustCompile(spaced(pattern)).MatchString(spaced(got)) {
			t.Errorf("$ %s\nprinted\n%s\nbut the guide says\n%s", step.command, got, step.output)
		}
	}
}

// spaced makes one space of several: the width of a column follows what is in it.
func spaced(text string) string { return regexp.MustCompile(` +`).ReplaceAllString(text, " ") }

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
	directory.Apply(t, regexp.MustCompile(`(?m)^(dn: .*)$`).ReplaceAllString(guideFile(t, "users-ldap.md", "people.ldif"), "$1\nchangetype: add"))
	ca, err := os.ReadFile(directory.CA)
	if err != nil {
		t.Fatal(err)
	}
	d := newGuideDir(t, "ldaps://ldap.example.com", "ldaps://"+directory.AddrTLS)
	d.write(t, "ldap-ca.pem", string(ca))
	d.write(t, "ldap-password", "a long password that nobody types\n")
	file := d.write(t, "ldap.yaml", guideFile(t, "users-ldap.md", "ldap.yaml"))
	s := serve(t, t.TempDir(), "--users", "sqlite", "--users", "ldap:"+file)
	runUsersGuide(t, "users-ldap.md", s, d)
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
	d.places = strings.NewReplacer("/etc/authd", d.path, "dc1.corp.example.com", "127.0.0.1:1", "dc2.corp.example.com", "127.0.0.1:2")
	ad := serve(t, t.TempDir(), "--users", "sqlite", "--users", "ldap:"+d.write(t, "ad.yaml", guideFile(t, "users-ldap.md", "ad.yaml")))
	if got := ad.tryLogin(t, "alice", password); got != http.StatusServiceUnavailable || !strings.Contains(ad.out.String(), "a source does not answer") {
		t.Errorf("while Active Directory does not answer, a login is answered %d", got)
	}

	if strings.Contains(s.out.String(), "a long password that nobody types") || strings.Contains(s.out.String(), password) {
		t.Error("the log has a password")
	}
}

// shell runs a command of a guide against this server.
func (s *server) shell(t *testing.T, script string) string {
	t.Helper()
	script = strings.ReplaceAll(script, "http://127.0.0.1:8080", s.URL)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "HOME="+t.TempDir(),
		"AUTHD_DATA="+s.Data, "AUTHD_ADMIN_LISTEN="+strings.TrimPrefix(s.Admin, "http://"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("$ %s\n%v\n%s", script, err, out)
	}
	return string(out)
}

func rawBase64(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }
