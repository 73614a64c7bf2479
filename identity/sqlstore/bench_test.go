package sqlstore_test

import (
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

// BenchmarkAuthenticate compares a login, and each way to be refused, with the bare hash.
func BenchmarkAuthenticate(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { benchAuthenticate(b, newSQLite(b)) })
	b.Run("PostgreSQL", func(b *testing.B) { benchAuthenticate(b, newPostgres(b)) })
}

func benchAuthenticate(b *testing.B, db database) {
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		b.Fatal(err)
	}
	s := db.open(b, sqlstore.Config{Hasher: h})
	for _, username := range []string{"alice", "disabled"} {
		if _, err := s.Add(b.Context(), username, password); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := s.SetDisabled(b.Context(), "disabled", true); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Import(b.Context(), "nopassword", ""); err != nil {
		b.Fatal(err)
	}

	b.Run("bare hash", func(b *testing.B) {
		p, salt := identity.DefaultParams(), make([]byte, 16)
		for b.Loop() {
			argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, 32)
		}
	})
	for _, c := range []struct {
		name, username, password string
		ok                       bool
	}{
		{"login", "alice", password, true},
		{"wrong password", "alice", "copper lantern giraffe", false},
		{"unknown user", "mallory", password, false},
		{"disabled", "disabled", password, false},
		{"no password", "nopassword", password, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Authenticate(b.Context(), c.username, c.password); (err == nil) != c.ok {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAccount is what each refresh asks.
func BenchmarkAccount(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) { benchAccount(b, newSQLite(b)) })
	b.Run("PostgreSQL", func(b *testing.B) { benchAccount(b, newPostgres(b)) })
}

func benchAccount(b *testing.B, db database) {
	h, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		b.Fatal(err)
	}
	s := db.open(b, sqlstore.Config{Hasher: h})
	alice, err := s.Import(b.Context(), "alice", "", "admin")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Account(b.Context(), alice.Subject); err != nil {
			b.Fatal(err)
		}
	}
}
