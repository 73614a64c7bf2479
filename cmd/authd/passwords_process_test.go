package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A password of the operator's list is refused wherever it is set, and nothing starts with a list that is not one.
func TestPasswordBlocklist(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(list, []byte(alicesNewPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir(), "--password-blocklist", list)
	run := func(input string, args ...string) (string, error) {
		return command(t.Context(), input, append(args, "--data", s.Data, "--admin-listen", strings.TrimPrefix(s.Admin, "http://"))...)
	}
	for _, args := range [][]string{{"user", "add", "bob"}, {"user", "add", "alice"}, {"user", "passwd", "alice"}} {
		if out, err := run(strings.ToUpper(alicesNewPassword)+"\n", args...); err == nil || !strings.Contains(out, "known from elsewhere") {
			t.Errorf("%q with a password of the list: %v\n%s", args, err, out)
		}
		if args[2] == "alice" && args[1] == "add" {
			s.authd(t, alicesPassword+"\n", args...)
		}
	}
	s.login(t, "alice", alicesPassword)

	out, err := command(t.Context(), "", "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--password-blocklist", list+"-none")
	if err == nil || !strings.Contains(out, "password-blocklist") {
		t.Errorf("without the list authd starts: %v\n%s", err, out)
	}
}
