package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

const password = "violin marmalade tundra"

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

func TestReopen(t *testing.T) { everywhere(t, testReopen) }

func testReopen(t *testing.T, db database) {
	clock := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
	c := sqlstore.Config{Hasher: newHasher(t, nil), Now: func() time.Time { return clock }}
	s, err := db.openStore(t.Context(), db.name, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(t.Context(), "alice", password, "admin"); err != nil {
		t.Fatal(err)
	}
	created := clock
	clock = clock.Add(time.Hour)
	alice, err := s.SetDisabled(t.Context(), "alice", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = db.open(t, c)
	want := identity.User{
		Account: alice, HasPassword: true, CreatedAt: created, UpdatedAt: clock,
	}
	want.PasswordChangedAt = created
	if got, err := s.Get(t.Context(), "alice"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Get = %+v, %v, want %+v", got, err, want)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

func TestSQLiteFolderIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not yet there", "a b?c#d%41&e.db")
	db := database{"sqlite", path, sqlstore.OpenSQLite}
	db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// Nobody but the owner may read the hashes, also not in the files that SQLite keeps beside the database.
func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	db := database{"sqlite", filepath.Join(dir, "users.db"), sqlstore.OpenSQLite}
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	if _, err := s.Add(t.Context(), "alice", password); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 3 {
		t.Errorf("%d files, want the database with -wal and -shm", len(files))
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", file.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v, want mode 0700", info.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	h := newHasher(t, nil)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("not a database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path   string
		hasher *identity.Hasher
	}{
		"no hasher":          {filepath.Join(t.TempDir(), "users.db"), nil},
		"not a database":     {file, h},
		"a folder":           {t.TempDir(), h},
		"a file as a folder": {filepath.Join(file, "users.db"), h},
	} {
		s, err := sqlstore.OpenSQLite(t.Context(), c.path, sqlstore.Config{Hasher: c.hasher})
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = s.Close()
		}
	}
}

// Whatever goes wrong in the database is ErrUnavailable, never a wrong password and never an unknown account.
func TestDatabaseFails(t *testing.T) { everywhere(t, testDatabaseFails) }

func testDatabaseFails(t *testing.T, db database) {
	s, err := db.openStore(t.Context(), db.name, sqlstore.Config{Hasher: newHasher(t, nil)})
	if err != nil {
		t.Fatal(err)
	}
	alice, err := s.Add(t.Context(), "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Authenticate": func() error { _, err := s.Authenticate(ctx, "alice", password); return err },
		"Account":      func() error { _, err := s.Account(ctx, alice.Subject); return err },
		"Add":          func() error { _, err := s.Add(ctx, "bob", password); return err },
		"Import":       func() error { _, err := s.Import(ctx, "bob", ""); return err },
		"Get":          func() error { _, err := s.Get(ctx, "alice"); return err },
		"List":         func() error { _, err := s.List(ctx, "", 0); return err },
		"SetPassword":  func() error { _, err := s.SetPassword(ctx, "alice", password); return err },
		"SetDisabled":  func() error { _, err := s.SetDisabled(ctx, "alice", true); return err },
		"SetRoles":     func() error { _, err := s.SetRoles(ctx, "alice", "admin"); return err },
		"Remove":       func() error { _, err := s.Remove(ctx, "alice"); return err },
		"PendingEnds":  func() error { _, err := s.PendingEnds(ctx, "", 1); return err },
		"EndsDone":     func() error { return s.EndsDone(ctx, "a note") },
		"Ping":         func() error { return s.Ping(ctx) },
	} {
		err := call()
		if !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("%s: error %v, want ErrUnavailable", name, err)
		}
		for _, other := range []error{identity.ErrInvalidCredentials, identity.ErrNotFound, identity.ErrExists} {
			if errors.Is(err, other) {
				t.Errorf("%s: error %v is also %v", name, err, other)
			}
		}
	}
}

// The command line works beside a running server: two processes add users to one database and see each other's.
func TestTwoProcesses(t *testing.T) { everywhere(t, testTwoProcesses) }

func testTwoProcesses(t *testing.T, db database) {
	const each = 10
	if name := os.Getenv("SQLSTORE_TEST_DATABASE"); name != "" {
		db.name = name
		addUsers(t, db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)}), "child", each)
		return
	}
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
	child.Env = append(os.Environ(), "SQLSTORE_TEST_DATABASE="+db.name)
	var wg sync.WaitGroup
	wg.Go(func() {
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("the other process: %v\n%s", err, out)
		}
	})
	addUsers(t, s, "parent", each)
	wg.Wait()
	users, err := s.List(t.Context(), "", 0)
	if err != nil || len(users) != 2*each {
		t.Errorf("%d users, %v, want %d", len(users), err, 2*each)
	}
	if _, err := s.Authenticate(t.Context(), "child0", password); err != nil {
		t.Errorf("a user of the other process: %v", err)
	}
}

func addUsers(t *testing.T, s *sqlstore.Store, prefix string, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.Add(t.Context(), fmt.Sprint(prefix, i), password); err != nil {
			t.Errorf("adding %s%d: %v", prefix, i, err)
		}
	}
}

// A password is as good after years as on its first day.
func TestPasswordsDoNotExpire(t *testing.T) {
	db := newSQLite(t)
	var now time.Time
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil), Now: func() time.Time { return now }})
	now = time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if _, err := s.Add(t.Context(), "alice", "violin marmalade tundra"); err != nil {
		t.Fatal(err)
	}
	now = now.AddDate(40, 0, 0)
	account, err := s.Authenticate(t.Context(), "alice", "violin marmalade tundra")
	if err != nil || account.Username != "alice" {
		t.Errorf("after forty years: %+v, %v", account, err)
	}
}
