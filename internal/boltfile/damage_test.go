package boltfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
)

// lived makes a file with all that a file can have: several levels, buckets in buckets, small ones, values over several
// pages, and free pages.
func lived(t *testing.T) (path string, content []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "a.db")
	f, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 4 {
		err := f.Update(t.Context(), func(tx *bbolt.Tx) error {
			many, _ := tx.CreateBucketIfNotExists([]byte("many"))
			for n := range 1500 {
				key := binary.BigEndian.AppendUint64(nil, rng.Uint64())
				if err := many.Put(key, bytes.Repeat([]byte{byte(n)}, rng.IntN(60))); err != nil {
					return err
				}
			}
			for k, _ := many.Cursor().First(); k != nil && round == 2; k, _ = many.Cursor().Next() {
				return many.Delete(k)
			}
			inner, err := many.CreateBucketIfNotExists([]byte{byte(round), 'b'})
			if err != nil {
				return err
			}
			if err := inner.Put([]byte("large"), make([]byte, 20_000*round)); err != nil {
				return err
			}
			small, err := inner.CreateBucketIfNotExists([]byte("small"))
			if err != nil {
				return err
			}
			return small.Put([]byte("k"), []byte("v"))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// After an end in order any change of the file is noticed, wherever it is.
func TestAnyFlippedBitIsNoticed(t *testing.T) {
	path, content := lived(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		altered := bytes.Clone(content)
		at := rng.IntN(len(altered))
		altered[at] ^= 1 << rng.IntN(8)
		if err := os.WriteFile(path, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		if f, err := boltfile.Open(path); !errors.Is(err, boltfile.ErrDamaged) {
			t.Errorf("a flipped bit at %d of %d: %v", at, len(content), err)
			if err == nil {
				f.Close()
			}
		}
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := boltfile.Open(path)
	if err != nil {
		t.Fatalf("the file as it was: %v", err)
	}
	f.Close()
}

// After a crash only the structure can be held against anything. What is let through is a file in which bbolt finds its way
// from everywhere to everywhere: neither it nor what reads ahead of it ever meets a page that is none.
func TestDamagedStructureIsNoticed(t *testing.T) {
	_, content := lived(t)
	if err := boltfile.Verify(bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	path := filepath.Join(t.TempDir(), "altered.db")
	noticed, pages := 0, len(content)/4096
	for n := range 300 {
		altered := bytes.Clone(content)
		at := rng.IntN(len(altered))
		if n%2 == 0 { // where it matters: heads of pages, and of their first entries
			at = rng.IntN(pages)*4096 + rng.IntN(200)
		}
		altered[at] ^= 1 << rng.IntN(8)
		err := boltfile.Verify(bytes.NewReader(altered), int64(len(altered)))
		if err != nil {
			if !errors.Is(err, boltfile.ErrDamaged) {
				t.Fatalf("a flipped bit at %d: %v", at, err)
			}
			noticed++
			continue
		}
		if err := os.WriteFile(path, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		checkByBBolt(t, path, at)
	}
	if noticed < 50 {
		t.Errorf("only %d of 300 flipped bits were noticed", noticed)
	}
}

// checkByBBolt reads all of a file.
func checkByBBolt(t *testing.T, path string, at int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Errorf("a flipped bit at %d: bbolt does not open it: %v", at, err)
		return
	}
	defer db.Close()
	_ = db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			t.Errorf("a flipped bit at %d was not noticed: %v", at, err)
		}
		return nil
	})
}

func TestCutOffFileIsRefused(t *testing.T) {
	path, content := lived(t)
	for _, left := range []int{0, 1, 4096, len(content) / 3} {
		if err := os.WriteFile(path, content[:left], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := boltfile.Open(path); !errors.Is(err, boltfile.ErrDamaged) {
			t.Errorf("%d bytes of %d: %v", left, len(content), err)
		}
		if left == 0 {
			continue // after a crash, a file that was about to be made
		}
		if err := os.Remove(path + ".sum"); err != nil {
			t.Fatal(err)
		}
		if _, err := boltfile.Open(path); !errors.Is(err, boltfile.ErrDamaged) {
			t.Errorf("%d bytes of %d, after a crash: %v", left, len(content), err)
		}
		if err := os.WriteFile(path+".sum", []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A file that is gone is not made anew in silence, and whoever has it open is told.
func TestMissingFile(t *testing.T) {
	path, _ := lived(t)
	f, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Present(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Present(); !errors.Is(err, boltfile.ErrMissing) {
		t.Errorf("deleted under its user: %v", err)
	}
	f.Close()
	if _, err := boltfile.Open(path); !errors.Is(err, boltfile.ErrMissing) {
		t.Errorf("opened although it is gone: %v", err)
	}
	if err := os.Remove(path + ".sum"); err != nil {
		t.Fatal(err)
	}
	if f, err = boltfile.Open(path); err != nil {
		t.Fatalf("after the loss was accepted: %v", err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Present(); !errors.Is(err, boltfile.ErrMissing) {
		t.Errorf("replaced under its user: %v", err)
	}
	f.Close()
}
