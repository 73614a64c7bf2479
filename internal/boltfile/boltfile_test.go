package boltfile_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bucket = []byte("test")

func open(t testing.TB, path string) *boltfile.File {
	t.Helper()
	f, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(key, value string) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		return b.Put([]byte(key), []byte(value))
	}
}

func get(t testing.TB, f *boltfile.File, key string) (value string) {
	t.Helper()
	err := f.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucket); b != nil {
			value = string(b.Get([]byte(key)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestConcurrentUpdatesAllCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "authd.db")
	f := open(t, path)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			err := f.Update(t.Context(), func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists(bucket)
				if err != nil {
					return err
				}
				n := uint64(0)
				if v := b.Get([]byte("n")); v != nil {
					n = binary.BigEndian.Uint64(v)
				}
				return errors.Join(
					b.Put([]byte("n"), binary.BigEndian.AppendUint64(nil, n+1)),
					b.Put(fmt.Appendf(nil, "k%d", i), []byte("v")),
				)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	f = open(t, path)
	if n := binary.BigEndian.Uint64([]byte(get(t, f, "n"))); n != 200 {
		t.Errorf("counted %d of 200 updates: an update was lost or ran twice in one commit", n)
	}
	for i := range 200 {
		if get(t, f, fmt.Sprintf("k%d", i)) != "v" {
			t.Errorf("update %d is missing after reopening", i)
		}
	}
}

// A failing or panicking update must undo its own effects and spare those that share its transaction.
func TestFailureIsPrivate(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "authd.db"))
	refused := errors.New("refused")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			key := fmt.Sprintf("k%d", i)
			err := f.Update(t.Context(), func(tx *bbolt.Tx) error {
				if err := put(key, "v")(tx); err != nil {
					return err
				}
				switch i % 3 {
				case 1:
					return refused
				case 2:
					panic("out of order")
				}
				return nil
			})
			switch i % 3 {
			case 0:
				if err != nil {
					t.Errorf("%s: %v", key, err)
				}
			case 1:
				if !errors.Is(err, refused) {
					t.Errorf("%s: got %v, want the function's own error", key, err)
				}
			case 2:
				if err == nil {
					t.Errorf("%s: a panic was acknowledged", key)
				}
			}
		})
	}
	wg.Wait()
	for i := range 60 {
		want := ""
		if i%3 == 0 {
			want = "v"
		}
		if got := get(t, f, fmt.Sprintf("k%d", i)); got != want {
			t.Errorf("k%d = %q, want %q", i, got, want)
		}
	}
}

func TestLockIsExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	f := open(t, path)
	if _, err := boltfile.Open(path); !errors.Is(err, boltfile.ErrLocked) {
		t.Fatalf("second open: got %v, want ErrLocked", err)
	}
	f.Close()
	open(t, path)
}

func TestClosed(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "authd.db"))
	f.Close()
	if err := f.Update(t.Context(), put("k", "v")); !errors.Is(err, boltfile.ErrClosed) {
		t.Errorf("update after close: %v", err)
	}
	if err := f.View(func(*bbolt.Tx) error { return nil }); !errors.Is(err, boltfile.ErrClosed) {
		t.Errorf("view after close: %v", err)
	}
}

func TestCancelledUpdateDoesNotRun(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "authd.db"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Update(ctx, put("k", "v")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := f.Update(t.Context(), put("other", "v")); err != nil {
		t.Fatal(err)
	}
	if got := get(t, f, "k"); got != "" {
		t.Errorf("an update whose context had ended was applied")
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			f := open(b, filepath.Join(b.TempDir(), "authd.db"))
			b.SetParallelism(writers) // goroutines per processor
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := f.Update(b.Context(), put("k", "v")); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
