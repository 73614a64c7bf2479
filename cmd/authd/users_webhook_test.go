package main_test

import (
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
)

// The guide to webhooks, with its receiver.
func TestWebhookGuide(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listen := l.Addr().String()
	l.Close()
	d := newGuideDir(t, "127.0.0.1:9000", listen)
	docs.Shell{Places: strings.NewReplacer(d.others...)}.Run(t, docs.Steps(t, "docs/users-webhook.md", 0))
	file := d.write(t, "webhook.yaml", docs.File(t, "docs/users-webhook.md", "webhook.yaml"))
	program := d.write(t, "receiver.go", docs.File(t, "docs/users-webhook.md", "receiver.go"))
	binary := filepath.Join(d.path, "receiver")
	if out, err := exec.Command("go", "build", "-o", binary, program).CombinedOutput(); err != nil {
		t.Fatalf("building the receiver: %v\n%s", err, out)
	}
	run, found := strings.CutPrefix(docs.Steps(t, "docs/users-webhook.md", 1)[0].Command, "go run receiver.go ")
	if !found {
		t.Fatalf("the page does not run the receiver")
	}
	var receiver *exec.Cmd
	start := func() {
		receiver = exec.Command(binary, strings.Fields(strings.NewReplacer(d.others...).Replace(run))...)
		if err := receiver.Start(); err != nil {
			t.Fatal(err)
		}
	}
	stop := func() { _ = receiver.Process.Kill(); _ = receiver.Wait() }
	start()
	defer func() { stop() }()
	until(t, "the receiver", func() bool {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			c.Close()
		}
		return err == nil
	})

	const password = "violin marmalade tundra"
	s := runUsersGuide(t, docs.Steps(t, "docs/users-webhook.md", 2), d)
	alice := s.login(t, "alice", password)
	if c := alice.claims(t); c.Subject != "webhook:42" || len(c.Roles) != 1 || c.Roles[0] != "admin" {
		t.Errorf("the token says %+v", c)
	}
	s.isReadOnly(t, "alice")
	if got := s.tryLogin(t, "alice", "wrong"); got != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered %d", got)
	}
	alice, status := s.refresh(t, alice.RefreshToken)
	if status != http.StatusOK {
		t.Errorf("a refresh is answered %d", status)
	}
	if out, err := exec.Command("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-d", `{"type":"find","username":"alice"}`,
		"http://"+listen+"/authd").CombinedOutput(); err != nil || string(out) != "403" {
		t.Errorf("the receiver answers who does not sign with %s, %v", out, err)
	}
	if out := s.authd(t, "", "user", "list"); !strings.HasPrefix(out, "NAME") || strings.Contains(out, "alice") {
		t.Errorf("user list printed\n%s", out)
	}

	stop()
	for range 8 { // also when it is left alone
		if got := s.tryLogin(t, "alice", password); got != http.StatusServiceUnavailable {
			t.Errorf("without the receiver a login answers %d", got)
		}
	}
	if _, got := s.refresh(t, alice.RefreshToken); got != http.StatusServiceUnavailable {
		t.Errorf("without the receiver a refresh answers %d", got)
	}
	start()
	s.becomes(t, http.StatusOK, "alice", password)

	// Alone, it cannot be listed, and the command says why.
	alone := serve(t, t.TempDir(), "--users", "webhook:"+file)
	args := []string{"user", "list", "--data", alone.Data, "--admin-listen", strings.TrimPrefix(alone.Admin, "http://")}
	if out, err := command(t.Context(), "", args...); err == nil || !strings.Contains(out, "cannot be listed") {
		t.Errorf("user list: %v\n%s", err, out)
	}
}
