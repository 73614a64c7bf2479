package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

// An administrator may act while a password is being hashed; the login must not end with what was true before.
func TestAccountChangesDuringLogin(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *sqlstore.Store)
		want   error
	}{
		"nothing": {func(*testing.T, *sqlstore.Store) {}, nil},
		"disabled": {func(t *testing.T, s *sqlstore.Store) {
			if _, err := s.SetDisabled(t.Context(), "alice", true); err != nil {
				t.Error(err)
			}
		}, identity.ErrInvalidCredentials},
		"removed": {func(t *testing.T, s *sqlstore.Store) {
			if _, err := s.Remove(t.Context(), "alice"); err != nil {
				t.Error(err)
			}
		}, identity.ErrInvalidCredentials},
		"removed and added again": {func(t *testing.T, s *sqlstore.Store) {
			if _, err := s.Remove(t.Context(), "alice"); err != nil {
				t.Error(err)
			}
			if _, err := s.Add(t.Context(), "alice", password); err != nil {
				t.Error(err)
			}
		}, identity.ErrInvalidCredentials},
		"password changed": {func(t *testing.T, s *sqlstore.Store) {
			if _, err := s.SetPassword(t.Context(), "alice", "copper lantern giraffe"); err != nil {
				t.Error(err)
			}
		}, identity.ErrInvalidCredentials},
		"same password set again": {func(t *testing.T, s *sqlstore.Store) {
			if _, err := s.SetPassword(t.Context(), "alice", password); err != nil {
				t.Error(err)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, db database) {
				var during func() // runs once, at the end of the next hash
				h, err := identity.NewHasher(identity.HasherConfig{
					Params: identity.Params{Memory: 64, Time: 1, Threads: 1}, Concurrency: 2,
					OnHash: func(context.Context, identity.HashEvent) {
						if f := during; f != nil {
							during = nil
							f()
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				s := db.open(t, sqlstore.Config{Hasher: h})
				if _, err := s.Add(t.Context(), "alice", password); err != nil {
					t.Fatal(err)
				}
				during = func() { c.change(t, s) }
				account, err := s.Authenticate(t.Context(), "alice", password)
				if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("Authenticate = %+v, %v, want %v", account, err, c.want)
				}
				if during != nil {
					t.Error("no hash was computed")
				}
			})
		})
	}
}

// A hash that somebody damaged, or wrote to make logins cost gigabytes, is a refusal like any other for the user, and
// a line in the log for the operator.
func TestUnusableStoredHash(t *testing.T) {
	for name, hash := range map[string]string{
		"rubbish": "rubbish",
		"4 GiB":   "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"huge":    strings.Repeat("A", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, db database) {
				hashes := 0
				var log bytes.Buffer
				s := db.open(t, sqlstore.Config{
					Hasher: newHasher(t, func(context.Context, identity.HashEvent) { hashes++ }),
					Logger: slog.New(slog.NewJSONHandler(&log, nil)),
				})
				alice, err := s.Add(t.Context(), "alice", password)
				if err != nil {
					t.Fatal(err)
				}
				db.execute(t, `UPDATE users SET password_hash = $1`, hash)

				for _, username := range []string{"alice", "mallory"} {
					hashes = 0
					_, err = s.Authenticate(t.Context(), username, password)
					if err == nil || err.Error() != identity.ErrInvalidCredentials.Error() {
						t.Errorf("%s: error %v, want ErrInvalidCredentials", username, err)
					}
					if hashes != 1 {
						t.Errorf("%s: %d hashes computed, want 1", username, hashes)
					}
				}
				if got := log.String(); !strings.Contains(got, alice.Subject) || strings.Count(got, "\n") != 1 {
					t.Errorf("log: %q, want one line with the subject", got)
				}
				if strings.Contains(log.String(), password) || strings.Contains(log.String(), "nf65EOgLr") {
					t.Errorf("the log has the password or the hash: %q", log.String())
				}
			})
		})
	}
}

// Neither passwords nor hashes reach the log of a login that upgrades.
func TestUpgradeIsLogged(t *testing.T) { everywhere(t, testUpgradeIsLogged) }

func testUpgradeIsLogged(t *testing.T, db database) {
	var log bytes.Buffer
	s := db.open(t, sqlstore.Config{
		Hasher: newHasher(t, nil), Logger: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	alice, err := s.Import(t.Context(), "alice", hash)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), "alice", "password"); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "upgraded") || !strings.Contains(got, alice.Subject) ||
		strings.Contains(got, "argon2id") {
		t.Errorf("log: %q", got)
	}
}

// A password that is changed while a login upgrades the old one's hash stays changed.
func TestUpgradeDoesNotUndoAChange(t *testing.T) { everywhere(t, testUpgradeDoesNotUndoAChange) }

func testUpgradeDoesNotUndoAChange(t *testing.T, db database) {
	hashes := 0
	var s *sqlstore.Store
	h, err := identity.NewHasher(identity.HasherConfig{
		Params: identity.Params{Memory: 64, Time: 1, Threads: 1}, Concurrency: 2,
		OnHash: func(context.Context, identity.HashEvent) {
			if hashes++; hashes != 2 { // the first verifies, the second is the upgrade's
				return
			}
			if _, err := s.SetPassword(t.Context(), "alice", password); err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s = db.open(t, sqlstore.Config{Hasher: h})
	const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	if _, err := s.Import(t.Context(), "alice", hash); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), "alice", "password"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authenticate(t.Context(), "alice", password); err != nil {
		t.Errorf("the new password: %v", err)
	}
	if _, err := s.Authenticate(t.Context(), "alice", "password"); !errors.Is(err, identity.ErrInvalidCredentials) {
		t.Errorf("the old password: error %v, want ErrInvalidCredentials", err)
	}
}
