package boltstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/ssf"
	"github.com/authd-project/authd/ssf/boltstore"
	"github.com/authd-project/authd/ssf/ssftest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authd.db")
	var file *boltfile.File
	defer func() { file.Close() }()
	ssftest.Run(t, func(t *testing.T) ssf.Store {
		t.Helper()
		if file != nil {
			file.Close()
		}
		var err error
		if file, err = boltfile.Open(path); err != nil {
			t.Fatal(err)
		}
		s, err := boltstore.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestUnavailable(t *testing.T) {
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := boltstore.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	_, streams := s.Streams(context.Background())
	_, appended := s.Append(context.Background(), map[string][]ssf.Claims{"a": nil})
	_, _, oldest := s.Oldest(context.Background(), "a", 1)
	for name, err := range map[string]error{
		"streams": streams, "append": appended, "oldest": oldest, "put": s.Put(context.Background(), ssf.Stream{ID: "a"}),
		"delete": s.Delete(context.Background(), "a"), "remove": s.Remove(context.Background(), "a", "b"),
	} {
		if !errors.Is(err, ssf.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
