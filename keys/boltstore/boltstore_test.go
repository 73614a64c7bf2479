package boltstore_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/boltstore"
	"github.com/authd-project/authd/keys/keystest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	kek := keys.GenerateKEK()
	keystest.Run(t, func(t testing.TB) (keys.Store, func() keys.Store) {
		path := filepath.Join(t.TempDir(), "authd.db")
		file := openFile(t, path)
		open := func() keys.Store { return openStore(t, file, kek) }
		return open(), func() keys.Store {
			if err := file.Close(); err != nil { // nothing but the lock is given up: each write was synced before
				t.Fatal(err)
			}
			file = openFile(t, path)
			return open()
		}
	})
}

func TestOpenRefusesARingItCannotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	file := openFile(t, path)
	kek := keys.GenerateKEK()
	begin(t, openStore(t, file, kek))

	other := keys.GenerateKEK()
	_, err := boltstore.Open(file, keys.NewCodec(other))
	if err == nil || !strings.Contains(err.Error(), kek.ID()) {
		t.Errorf("with another KEK: got %v, want an error that names the KEK %s", err, kek.ID())
	}
	if _, err := boltstore.Open(file, keys.NewCodec()); err == nil {
		t.Error("without a KEK: no error")
	}
	openStore(t, file, other, kek)
}

// The change of a KEK is complete with the first claim after it: the old one opens nothing any more.
func TestClaimSealsAnew(t *testing.T) {
	file := openFile(t, filepath.Join(t.TempDir(), "authd.db"))
	old, next := keys.GenerateKEK(), keys.GenerateKEK()
	begin(t, openStore(t, file, old))
	if _, err := openStore(t, file, next, old).Claim(t.Context(), "after the change"); err != nil {
		t.Fatal(err)
	}
	openStore(t, file, next)
	if _, err := boltstore.Open(file, keys.NewCodec(old)); err == nil {
		t.Error("the old KEK still opens the ring")
	}
}

func TestFileHoldsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	file := openFile(t, path)
	store := openStore(t, file, keys.GenerateKEK())
	ring := begin(t, store)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(ring.Keys[0].ID)) {
		t.Fatal("the file does not hold the ring at all")
	}
	secret := ring.MACs[0].Secret
	if bytes.Contains(data, secret) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(secret))) {
		t.Error("the file holds the secret of a MAC key")
	}
	if bytes.Contains(data, []byte("PRIVATE KEY")) || bytes.Contains(data, []byte(`"d":`)) {
		t.Error("the file holds a private key")
	}
}

func openFile(t testing.TB, path string) *boltfile.File {
	t.Helper()
	file, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func openStore(t testing.TB, file *boltfile.File, keks ...keys.KEK) keys.Store {
	t.Helper()
	store, err := boltstore.Open(file, keys.NewCodec(keks...))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// begin gives a store its first keys.
func begin(t testing.TB, store keys.Store) keys.Ring {
	t.Helper()
	term, err := store.Claim(t.Context(), "a leader")
	if err != nil {
		t.Fatal(err)
	}
	ring, version, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	policy := keys.Policy{}.WithDefaults()
	ring, err = policy.Apply(now, ring, policy.Next(now, ring))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Update(t.Context(), term, version, ring); err != nil {
		t.Fatal(err)
	}
	return ring
}
