package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The drills play what docs/disasters.md describes, with real parts, and log how long each took.

// outcome logs what the table in docs/disasters.md says, as measured now.
func outcome(t *testing.T, what string, since time.Time) {
	t.Helper()
	t.Logf("drill: %s: %v", what, time.Since(since).Round(10*time.Millisecond))
}

// refusesToStart runs an offline command on a data folder, which must fail and say what is wanted.
func refusesToStart(t *testing.T, data string, wants ...string) {
	t.Helper()
	out, err := command(t.Context(), "", "user", "list", "--data", data, "--admin-listen", "127.0.0.1:1")
	for _, want := range wants {
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("authd on %s: %v, and does not say %q:\n%s", data, err, want, out)
		}
	}
}

// The embedded file is deleted under a running authd: it ends rather than acknowledge what would be lost, does not begin anew by
// itself, and goes on from a backup.
func TestDrillEmbeddedFileDeleted(t *testing.T) {
	t.Parallel()
	i := install(t, t.TempDir())
	i.authd(t, alicesPassword, "user", "add", "alice")
	g := i.login(t, "alice", alicesPassword)
	file, _ := i.backUp()
	began := time.Now()
	for _, name := range []string{"authd.db", "users.db"} {
		if err := os.Remove(filepath.Join(i.Data, name)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-i.done:
	case <-time.After(patience):
		t.Fatal("authd goes on with a file that nobody will find again")
	}
	outcome(t, "embedded file deleted: authd has ended", began)
	if !strings.Contains(i.out.String(), "was taken away from under authd") {
		t.Errorf("it does not say why:\n%s", i.out)
	}
	refusesToStart(t, i.Data, "missing", "Restore a backup")

	data, _ := restore(t, file, i.kek())
	i.start(data)
	outcome(t, "embedded file deleted: restored and serving", began)
	if status := i.verify(t, g.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("a token of before is answered %d", status)
	}
	again := i.login(t, "alice", alicesPassword)
	until(t, "a login at the service", func() bool { return i.ask(again) == http.StatusOK })
}

// A file that was cut off or altered is refused when authd starts, by name, and nothing is served from it.
func TestDrillDamagedFiles(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := serve(t, data)
	for _, name := range []string{"alice", "bob", "carol"} {
		s.authd(t, alicesPassword, "user", "add", name)
	}
	for range 5 {
		s.login(t, "alice", alicesPassword)
	}
	s.kill() // after a crash there is no sum to hold the file against
	damage := func(name string, change func([]byte) []byte, wants ...string) {
		t.Helper()
		path := filepath.Join(data, name)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, change(append([]byte(nil), good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		refusesToStart(t, data, append(wants, name)...)
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cut := func(b []byte) []byte { return b[:len(b)/2/4096*4096] }
	damage("authd.db", cut, "damaged", "cut off")
	damage("authd.db", func(b []byte) []byte { b[4096*3+8] ^= 0x40; return b }, "damaged", "page 3")

	// After an end in order every bit is accounted for.
	if out, err := command(t.Context(), "", "user", "list", "--data", data, "--admin-listen", "127.0.0.1:1"); err != nil || !strings.Contains(out, "carol") {
		t.Fatalf("the file as it was: %v\n%s", err, out)
	}
	damage("users.db", cut, "damaged")
	damage("users.db", func(b []byte) []byte { b[4096] ^= 0x08; return b }, "damaged")
	damage("authd.db", func(b []byte) []byte {
		at := strings.Index(string(b), "alice") // a value: to bbolt and JSON all is well
		b[at] ^= 1
		return b
	}, "damaged", "has changed since it was closed")
}

// The key-encryption key is lost while authd runs: it goes on, and a backup that is taken now can be used, but for second factors.
func TestDrillKEKLost(t *testing.T) {
	t.Parallel()
	i := install(t, t.TempDir())
	i.authd(t, alicesPassword, "user", "add", "alice")
	secretive := i.login(t, "alice", alicesPassword)
	i.enrol(t, secretive)
	if err := os.Remove(filepath.Join(i.Data, "kek")); err != nil {
		t.Fatal(err)
	}
	if status := i.verify(t, secretive.AccessToken); status != http.StatusOK {
		t.Errorf("a running authd without its file answers %d", status)
	}
	file, _ := i.backUp()
	began := time.Now()
	i.terminate(t)
	if err := os.WriteFile(filepath.Join(i.Data, "kek"), []byte(makeKEK(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, i.Data, "which was not given")

	data := t.TempDir()
	if out, err := command(t.Context(), "", "restore", file, "--without-factors", "--data", data, "--admin-listen", "127.0.0.1:1"); err != nil {
		t.Fatalf("restore: %v\n%s", err, out)
	}
	i.start(data)
	outcome(t, "key-encryption key lost: serving with a new one", began)
	if status := i.verify(t, secretive.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("a token of a key that nobody can open is answered %d", status)
	}
	g := i.login(t, "alice", alicesPassword) // by the password alone: it has to be told
	until(t, "a login at the service", func() bool { return i.ask(g) == http.StatusOK })
	if out := i.authd(t, "", "user", "factors", "alice"); strings.Contains(out, "totp") {
		t.Errorf("a factor that nobody can open:\n%s", out)
	}
}

func makeKEK(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(newKEK(t))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
