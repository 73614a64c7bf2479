package htpasswd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/htpasswd"
)

const password, another = "violin marmalade tundra", "copper lantern giraffe"

func newHasher(t testing.TB, onHash func(context.Context, identity.HashEvent)) *identity.Hasher {
	t.Helper()
	h, err := identity.NewHasher(identity.HasherConfig{
		Params: identity.Params{Memory: 64, Time: 1, Threads: 1}, OnHash: onHash,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// hashOf returns a hash as htpasswd -B makes it.
func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "$2y$" + strings.TrimPrefix(string(hash), "$2a$")
}

// file is an htpasswd file, and the clock of a source that reads it.
type file struct {
	t    testing.TB
	path string
	now  time.Time
	log  bytes.Buffer
}

func newFile(t testing.TB, text string) *file {
	f := &file{t: t, path: write(t, text), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	f.touched(f.now.Add(-time.Hour))
	return f
}

func (f *file) open(h *identity.Hasher) *htpasswd.Source {
	f.t.Helper()
	s, err := htpasswd.Open(f.path, htpasswd.Config{
		Hasher: h, Now: func() time.Time { return f.now }, Logger: slog.New(slog.NewJSONHandler(&f.log, nil)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// write changes the file in place, as htpasswd does, at the given time by the file system's clock.
func (f *file) write(text string, at time.Time) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o640); err != nil {
		f.t.Fatal(err)
	}
	f.touched(at)
}

func (f *file) touched(at time.Time) {
	f.t.Helper()
	if err := os.Chtimes(f.path, at, at); err != nil {
		f.t.Fatal(err)
	}
}

func logsIn(t testing.TB, s *htpasswd.Source, username, password string, want bool) {
	t.Helper()
	account, err := s.Authenticate(t.Context(), username, password)
	switch {
	case want && (err != nil || account.Username != username):
		t.Errorf("%s: %+v, %v, want a login", username, account, err)
	case !want && !errors.Is(err, identity.ErrInvalidCredentials):
		t.Errorf("%s: %+v, %v, want ErrInvalidCredentials", username, account, err)
	}
}

func TestFormat(t *testing.T) {
	hash := hashOf(t, password)
	f := newFile(t, "# staff\n\nalice:"+hash+"\r\nBob:"+hash+":Bob of Accounts\n  \nlocked:!"+hash+"\nnobody:\nlast:"+hash)
	s := f.open(newHasher(t, nil))
	logsIn(t, s, "alice", password, true)
	logsIn(t, s, "bob", password, true)
	logsIn(t, s, "last", password, true)
	logsIn(t, s, "locked", password, false)
	logsIn(t, s, "nobody", "", false)

	var names []string
	for after := ""; ; after = names[len(names)-1] {
		page, err := s.List(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, u := range page {
			names = append(names, u.Username)
			got, err := s.Get(t.Context(), strings.ToUpper(u.Username))
			if err != nil || got.Subject != u.Subject || len(u.Subject) != 22 {
				t.Errorf("Get(%s) = %+v, %v, want %+v", u.Username, got, err, u)
			}
			if want := f.now.Add(-time.Hour); !got.CreatedAt.Equal(want) || !got.PasswordChangedAt.IsZero() ||
				got.HasPassword != (u.Username != "nobody") || got.Disabled != (u.Username == "locked") {
				t.Errorf("Get(%s) = %+v", u.Username, got)
			}
		}
	}
	if want := []string{"alice", "bob", "last", "locked", "nobody"}; !slices.Equal(names, want) {
		t.Errorf("users %q, want %q", names, want)
	}
	if _, err := s.Get(t.Context(), "mallory"); !errors.Is(err, identity.ErrNotFound) {
		t.Errorf("an unknown user: error %v, want ErrNotFound", err)
	}
}

// The subject stays with a name: tokens would otherwise change their owner with a restart, or between two authd.
func TestSubjectIsStable(t *testing.T) {
	s := newFile(t, "alice:"+hashOf(t, password)).open(newHasher(t, nil))
	if u, err := s.Get(t.Context(), "alice"); err != nil || u.Subject != "iBY_X46Dco6UggHrgoOr0Q" {
		t.Errorf("alice is %q, %v", u.Subject, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	hash, h := hashOf(t, password), newHasher(t, nil)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"no colon":          {"alice", []string{"line 1", "NAME:HASH"}},
		"plain text":        {"alice:" + hash + "\nbob:" + password, []string{"line 2", "htpasswd -B"}},
		"apr1":              {"alice:$apr1$Cd8Fq/sU$nUOBV4FVzsZqQTiJ3oRi10", []string{"line 1", "htpasswd -B"}},
		"several":           {"alice:x\n" + ":" + hash + "\ntwo words:" + hash, []string{"line 1", "line 2", "line 3"}},
		"twice":             {"alice:" + hash + "\nAlice:" + hash, []string{"line 2", "earlier line"}},
		"a costly hash":     {"alice:" + strings.Replace(hash, "$04$", "$31$", 1), []string{"line 1", "cost"}},
		"something else":    {strings.Repeat("x\n", 1000), []string{"line 20"}},
		"a name with a NUL": {"al\x00ice:" + hash, []string{"line 1"}},
	} {
		_, err := htpasswd.Open(write(t, c.text), htpasswd.Config{Hasher: h})
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q in it", name, err, want)
			}
		}
		if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "nUOBV4FV") || strings.Contains(err.Error(), "line 21") {
			t.Errorf("%s: the error says too much: %v", name, err)
		}
	}

	open := write(t, "alice:"+hash)
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"missing": open + "x", "a folder": t.TempDir(), "writable for all": open} {
		if _, err := htpasswd.Open(path, htpasswd.Config{Hasher: h}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with the path", name, err)
		}
	}
	if _, err := htpasswd.Open(write(t, ""), htpasswd.Config{}); err == nil {
		t.Error("no hasher: no error")
	}
}

func TestReload(t *testing.T) {
	f := newFile(t, "alice:"+hashOf(t, password)+"\nbob:"+hashOf(t, password))
	s := f.open(newHasher(t, nil))

	changed := "alice:" + hashOf(t, another) + "\n"
	f.write(changed, f.now.Add(-time.Minute)) // nobody looked for a while
	logsIn(t, s, "alice", another, true)
	logsIn(t, s, "alice", password, false)
	logsIn(t, s, "bob", password, false)

	// Half of a file that is being written does not count.
	f.write("", f.now)
	logsIn(t, s, "alice", another, true)
	f.now = f.now.Add(500 * time.Millisecond)
	f.write(changed+"carol:"+hashOf(t, password), f.now)
	logsIn(t, s, "alice", another, true)
	logsIn(t, s, "carol", password, false)
	f.now = f.now.Add(time.Second)
	logsIn(t, s, "alice", another, true)
	logsIn(t, s, "carol", password, true)

	// A file from the future has settled when it was seen unchanged for as long.
	tomorrow := f.now.Add(24 * time.Hour)
	f.write("dave:"+hashOf(t, password), tomorrow)
	logsIn(t, s, "dave", password, false)
	f.now = f.now.Add(time.Second)
	logsIn(t, s, "dave", password, true)

	// A replaced file of the same size and time is another file.
	replacement := write(t, "dora:"+hashOf(t, password))
	if err := errors.Join(os.Chtimes(replacement, tomorrow, tomorrow), os.Rename(replacement, f.path)); err != nil {
		t.Fatal(err)
	}
	logsIn(t, s, "dave", password, true)
	f.now = f.now.Add(time.Second)
	logsIn(t, s, "dora", password, true)
	logsIn(t, s, "dave", password, false)
}

// A file that is of no use changes nothing, and the log says so once.
func TestUselessChange(t *testing.T) {
	good := "alice:" + hashOf(t, password)
	f := newFile(t, good)
	s := f.open(newHasher(t, nil))
	for _, name := range []string{"broken", "gone", "broken", "gone"} {
		f.log.Reset()
		if name == "broken" {
			f.write(good+"\nbob:secret", f.now.Add(-time.Minute))
		} else if err := os.Remove(f.path); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			logsIn(t, s, "alice", password, true)
			logsIn(t, s, "bob", "secret", false)
		}
		if got := f.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "ERROR") || strings.Contains(got, "secret") {
			t.Errorf("%s: log %q, want one error without the line", name, got)
		}
		f.write("alice:"+hashOf(t, another), f.now.Add(-time.Minute))
		logsIn(t, s, "alice", another, true)
		f.write(good, f.now.Add(-2*time.Minute))
		logsIn(t, s, "alice", password, true)
	}
}

// Hashing takes long enough for the file to change meanwhile; the login must not end with what was true before.
func TestChangeDuringLogin(t *testing.T) {
	before := "alice:" + hashOf(t, password)
	for name, c := range map[string]struct {
		after string
		want  bool
	}{
		"nothing":            {before, true},
		"removed":            {"", false},
		"locked":             {"alice:!" + strings.TrimPrefix(before, "alice:"), false},
		"new password":       {"alice:" + hashOf(t, another), false},
		"same password anew": {"alice:" + hashOf(t, password), true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, before)
			hashes := 0
			s := f.open(newHasher(t, func(context.Context, identity.HashEvent) {
				if hashes++; hashes == 1 {
					f.write(c.after, f.now.Add(-time.Minute))
				}
			}))
			logsIn(t, s, "alice", password, c.want)
		})
	}
}

func TestDirectoryIsReadOnly(t *testing.T) {
	d := identity.ReadOnly(newFile(t, "alice:"+hashOf(t, password)).open(newHasher(t, nil)))
	ctx := t.Context()
	for name, change := range map[string]func() error{
		"Add":         func() error { _, err := d.Add(ctx, "bob", password); return err },
		"Import":      func() error { _, err := d.Import(ctx, "bob", ""); return err },
		"SetPassword": func() error { _, err := d.SetPassword(ctx, "alice", another); return err },
		"SetDisabled": func() error { _, err := d.SetDisabled(ctx, "alice", true); return err },
		"SetRoles":    func() error { _, err := d.SetRoles(ctx, "alice", "admin"); return err },
		"Remove":      func() error { _, err := d.Remove(ctx, "alice"); return err },
	} {
		if err := change(); !errors.Is(err, identity.ErrReadOnly) {
			t.Errorf("%s: error %v, want ErrReadOnly", name, err)
		}
	}
	if u, err := d.Get(ctx, "alice"); err != nil || u.Disabled {
		t.Errorf("Get = %+v, %v", u, err)
	}
}
