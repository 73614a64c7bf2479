package boltfile_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/schema"
)

// steps are n steps, each of which notes that it was made; before, unless nil, is called in each.
func steps(n int, before func(version int)) (all []func(*bbolt.Tx) error) {
	for i := range n {
		all = append(all, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucket)
			if err != nil {
				return err
			}
			made := string(b.Get([]byte("made"))) + fmt.Sprint(i+1)
			if err := b.Put([]byte("made"), []byte(made)); err != nil {
				return err
			}
			if before != nil {
				before(i + 1)
			}
			return nil
		})
	}
	return all
}

func TestUpgrade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	for _, tt := range []struct {
		version int
		made    string // of the steps so far
		newer   bool
	}{
		{version: 1, made: "1"},
		{version: 1, made: "1"},
		{version: 3, made: "123"}, // a release that was left out
		{version: 2, made: "123"}, // back
		{version: 3, made: "1233"},
		{version: 1, made: "1233", newer: true},
		{version: 0, made: "1233", newer: true},
		{version: 4, made: "12334"},
		{version: 2, made: "12334", newer: true},
	} {
		f, err := boltfile.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		before, _ := f.Stamp()
		err = f.Upgrade(t.Context(), boltfile.Schema{Steps: steps(tt.version, nil), Release: fmt.Sprint("1.", tt.version)})
		if errors.Is(err, schema.ErrNewer) != tt.newer || err != nil && !tt.newer {
			t.Errorf("version %d: %v", tt.version, err)
		}
		if made := get(t, f, "made"); made != tt.made {
			t.Errorf("version %d: made %s, want %s", tt.version, made, tt.made)
		}
		after, err := f.Stamp()
		if err != nil || tt.newer && after != before || !tt.newer && after.Version != tt.version {
			t.Errorf("version %d: %+v became %+v, %v", tt.version, before, after, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A step that fails leaves nothing, and the steps before it stay.
func TestFailedStep(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "authd.db"))
	s := boltfile.Schema{Steps: steps(3, nil)}
	broken := errors.New("broken")
	made := s.Steps[1]
	s.Steps[1] = func(tx *bbolt.Tx) error { return errors.Join(made(tx), broken) }
	if err := f.Upgrade(t.Context(), s); !errors.Is(err, broken) || !strings.Contains(err.Error(), "from version 1 to 2") {
		t.Errorf("error %v", err)
	}
	if made := get(t, f, "made"); made != "1" {
		t.Errorf("made %s", made)
	}
	s.Steps[1] = made
	if err := f.Upgrade(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if made := get(t, f, "made"); made != "123" {
		t.Errorf("made %s", made)
	}
}

// A process that is killed in the middle of a step leaves the file as the step found it, and the next one goes on there.
func TestKilledUpgrade(t *testing.T) {
	const file = "AUTHD_TEST_UPGRADE"
	if path := os.Getenv(file); path != "" {
		f := open(t, path)
		err := f.Upgrade(t.Context(), boltfile.Schema{Steps: steps(3, func(version int) {
			if version == 2 {
				fmt.Println("in step 2")
				select {}
			}
		})})
		t.Fatalf("it ended: %v", err)
	}
	path := filepath.Join(t.TempDir(), "authd.db")
	child := exec.Command(os.Args[0], "-test.run=^TestKilledUpgrade$")
	child.Env = append(os.Environ(), file+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "in step 2" {
		t.Log(lines.Text())
	}
	reached := lines.Text()
	_ = child.Process.Kill()
	_ = child.Wait() // killed
	if reached != "in step 2" {
		t.Fatal("the child did not get to step 2")
	}
	f := open(t, path)
	if s, err := f.Stamp(); err != nil || s.Version != 1 || get(t, f, "made") != "1" {
		t.Fatalf("left behind: %+v, made %s, %v", s, get(t, f, "made"), err)
	}
	if err := f.Upgrade(t.Context(), boltfile.Schema{Steps: steps(3, nil)}); err != nil {
		t.Fatal(err)
	}
	if made := get(t, f, "made"); made != "123" {
		t.Errorf("made %s", made)
	}
}
