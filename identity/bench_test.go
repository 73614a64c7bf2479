package identity_test

import (
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/authd-project/authd/identity"
)

// BenchmarkVerify compares a check through the pool with the bare hash.
func BenchmarkVerify(b *testing.B) {
	p := identity.DefaultParams()
	b.Run("bare", func(b *testing.B) {
		password, salt := []byte("violin marmalade tundra"), make([]byte, 16)
		for b.Loop() {
			argon2.IDKey(password, salt, p.Time, p.Memory, p.Threads, 32)
		}
	})
	b.Run("pool", func(b *testing.B) {
		h, err := identity.NewHasher(identity.HasherConfig{})
		if err != nil {
			b.Fatal(err)
		}
		encoded, err := h.Hash(b.Context(), "violin marmalade tundra")
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if ok, err := h.Verify(b.Context(), encoded, "violin marmalade tundra"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

func BenchmarkRulesCheck(b *testing.B) {
	rules := identity.Rules{Context: []string{"authd"}}
	for b.Loop() {
		if err := rules.Check("alice@example.com", "violin marmalade tundra"); err != nil {
			b.Fatal(err)
		}
	}
}
