package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// serveAs starts authd with the arguments of a command that a page shows. places are the addresses and files of the test, in
// pairs behind those of the page: each of the page's must be there. What the page leaves out as … stays out.
func serveAs(t *testing.T, data, command string, places ...string) *server {
	t.Helper()
	args, found := strings.CutPrefix(placed(t, uncommented(command), places...), "authd serve")
	if !found {
		t.Fatalf("authd serve is not what %q runs", command)
	}
	return serve(t, data, strings.Fields(strings.NewReplacer("'", "", "…", "").Replace(args))...)
}

// uncommented is a command without its remark.
func uncommented(command string) string {
	return strings.TrimSpace(regexp.MustCompile(` +#.*`).ReplaceAllString(command, ""))
}

// The commands with which the README runs several begin to serve.
func TestREADMERunsSeveral(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(docs.Text(t, "README.md", "sh", 1)) {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			places := []string{"redis://…", "redis://" + testenv.Redis(t), "kek", newKEK(t)}
			if strings.Contains(line, "kubernetes") {
				line = strings.TrimSuffix(line, "\n") + " " + strings.Join(kubernetes(t).flags, " ")
			}
			s := serveAs(t, t.TempDir(), strings.Replace(line, "--kek-file kek", "--kek-file "+places[3], 1), places[:2]...)
			s.terminate(t)
		})
	}
}

// What the README and docs/images.md ask of make is in the Makefile, and runs what they say.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	runs := map[string]string{
		"make run": "./bin/authd serve --demo", "make test": "internal/testenv/install.sh",
		"make image": "run . image -version ",
		"make image IMAGE=/tmp/image VERSION=v1.2.3": "run . image -version v1.2.3 -o /tmp/image",
	}
	for line := range strings.Lines(docs.Text(t, "README.md", "sh", 0) + docs.Text(t, "docs/images.md", "sh", 0)) {
		words := strings.Fields(uncommented(line))
		cmd := exec.CommandContext(t.Context(), words[0], append(words[1:], "-n", "--no-print-directory")...)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		want := runs[strings.Join(words, " ")]
		if err != nil || want == "" || !strings.Contains(string(out), want) {
			t.Errorf("%s runs, %v:\n%s\nwant %q", line, err, out, want)
		}
	}
}

// The receivers of docs/audit.md are told what the page says.
func TestAuditWebhooksGuide(t *testing.T) {
	t.Parallel()
	var siem, mail output
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(map[string]io.Writer{"/siem": &siem, "/mail": &mail}[r.URL.Path], r.Body)
	}))
	defer receiver.Close()
	file := tempFile(t, "authd.yaml", placed(t, docs.Text(t, "docs/audit.md", "yaml", 0), "https://hooks.example.com", receiver.URL))
	s := serve(t, t.TempDir(), "--demo", "--config", file)
	s.login(t, demoUser, demoPassword)
	s.authd(t, "another long password\n", "user", "passwd", demoUser)
	for name, told := range map[string]*output{"siem": &siem, "mail": &mail} {
		until(t, name+" to hear of the new password", func() bool { return strings.Contains(told.String(), `"type":"password_changed"`) })
	}
	if !strings.Contains(siem.String(), `"type":"login"`) || strings.Contains(mail.String(), `"type":"login"`) {
		t.Errorf("of all events one was told\n%s\nof some the other\n%s", &siem, &mail)
	}
}

// The entry of docs/backchannel-logout.md is one of the file that authd reads.
func TestBackchannelLogoutGuide(t *testing.T) {
	t.Parallel()
	rest := "secret_sha256: " + strings.Repeat("ab", 32) + "\n    redirect_uris: [https://wiki.example.com/callback]"
	s := serve(t, t.TempDir(), "--oauth-clients", tempFile(t, "clients.yaml", placed(t, docs.Text(t, "docs/backchannel-logout.md", "yaml", 0), "…", rest)))
	s.terminate(t)
}

// Prometheus starts with the file that docs/metrics.md names.
func TestPrometheusStartsAsDocumented(t *testing.T) {
	t.Parallel()
	words := strings.Fields(docs.Steps(t, "docs/metrics.md", 0)[0].Command)
	cmd := exec.CommandContext(t.Context(), words[0], append(words[1:], "--storage.tsdb.path="+t.TempDir(), "--web.listen-address=127.0.0.1:0")...)
	cmd.Dir = "../.."
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	lines := bufio.NewScanner(io.TeeReader(stderr, &said))
	ready := false
	for !ready && lines.Scan() {
		ready = strings.Contains(lines.Text(), "Server is ready to receive web requests")
	}
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, stderr)
	_ = cmd.Wait() // killed
	if !ready {
		t.Errorf("it says\n%s", &said)
	}
}

// The commands of docs/users.md do to a user what they say.
func TestUserCommands(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	const second = "another long password"
	passwords := []string{alicesPassword + "\n", "", second + "\n", "", "", "", ""}
	after := []func(){
		func() { s.login(t, "alice", alicesPassword) },
		func() {},
		func() { s.login(t, "alice", second) },
		func() { s.becomes(t, http.StatusUnauthorized, "alice", second) },
		func() { s.login(t, "alice", second) },
		func() { s.login(t, "alice", second) },
		func() { s.becomes(t, http.StatusUnauthorized, "alice", second) },
	}
	steps := docs.Steps(t, "docs/users.md", 0)
	if len(steps) != len(after) {
		t.Fatalf("%d commands, want %d", len(steps), len(after))
	}
	for i, step := range steps {
		s.authd(t, passwords[i], strings.Fields(uncommented(step.Command))[1:]...)
		after[i]()
	}
}

// A file that htpasswd makes as docs/users.md says serves its user.
func TestHtpasswdGuide(t *testing.T) {
	t.Parallel()
	d := newGuideDir(t)
	steps := docs.Steps(t, "docs/users.md", 3)
	cmd := exec.CommandContext(t.Context(), "bash", "-c", placed(t, steps[0].Command, "/etc/authd", d.path, "htpasswd -B", "htpasswd -i -B")) // -i: from stdin
	cmd.Stdin = strings.NewReader(alicesPassword + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := serveAs(t, t.TempDir(), steps[1].Command, "/etc/authd", d.path)
	s.login(t, "alice", alicesPassword)
}

// The commands of docs/users.md bring users from SQLite to PostgreSQL, with their subjects and passwords.
func TestMoveToPostgres(t *testing.T) {
	t.Parallel()
	const manager = "o'brien"
	data := t.TempDir()
	before := serve(t, data)
	before.authd(t, alicesPassword+"\n", "user", "add", "alice", "--role", "admin", "--role", "clerk")
	before.authd(t, alicesPassword+"\n", "user", "add", manager)
	before.authd(t, "", "user", "disable", manager)
	subject := claimsOf(t, before.login(t, "alice", alicesPassword).AccessToken).Subject
	list := before.authd(t, "", "user", "list")
	before.terminate(t)

	server := testenv.NewPostgres(t)
	database, kek := server.Database(t, ""), newKEK(t)
	env := append(path(), "URL="+database, "AUTHD_KEK_FILE="+kek, "AUTHD_DATA="+t.TempDir(), "AUTHD_ADMIN_LISTEN=127.0.0.1:1")
	steps := docs.Steps(t, "docs/users.md", 2)
	steps[0].Command = uncommented(steps[0].Command) + " >/dev/null 2>&1" // a table of nobody
	steps[2].Output = "COPY 2"
	docs.Shell{Env: env, Places: strings.NewReplacer("DATA/", data+"/")}.Run(t, steps)

	after := serve(t, t.TempDir(), "--users", database, "--kek-file", kek)
	if got := claimsOf(t, after.login(t, "alice", alicesPassword).AccessToken).Subject; got != subject {
		t.Errorf("the subject is %s, was %s", got, subject)
	}
	if got := after.authd(t, "", "user", "list"); got != list {
		t.Errorf("the users are\n%swere\n%s", got, list)
	}
}

// A list of passwords that is made as docs/users.md says is searched on the disk.
func TestPasswordListGuide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "passwords.txt"), []byte("first of all\n"+alicesNewPassword+"\nlast of all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", docs.Text(t, "docs/users.md", "sh", 1))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := serve(t, t.TempDir(), "--password-blocklist", filepath.Join(dir, "passwords.sha1"))
	s.authd(t, alicesPassword+"\n", "user", "add", "alice")
	out, err := command(t.Context(), alicesNewPassword+"\n", "user", "passwd", "alice", "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))
	if err == nil || !strings.Contains(out, "known from elsewhere") {
		t.Errorf("with a password of the list: %v\n%s", err, out)
	}
}

// docs/proxies.md tells how to try whether a proxy lets anybody say who he is.
func TestProxyIsTriedAsDocumented(t *testing.T) {
	t.Parallel()
	authd := serve(t, t.TempDir(), "--demo")
	p := startProxied(t, "nginx", authd.URL)
	g := authd.login(t, demoUser, demoPassword)
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", docs.Text(t, "docs/proxies.md", "sh", 0))
	cmd.Env = append(os.Environ(), "PROXY="+p.URL, "TOKEN="+g.AccessToken)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "401\n401\n") {
		t.Errorf("printed, %v\n%s", err, out)
	}
	got := p.take()
	if len(got) != 1 || strings.Contains(fmt.Sprint(got[0].identity()), "mallory") || len(got[0].identity()) == 0 {
		t.Errorf("the service got %+v", got)
	}
}
