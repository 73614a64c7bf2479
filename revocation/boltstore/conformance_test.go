package boltstore_test

import (
	"path/filepath"
	"testing"

	"github.com/authd-project/authd/revocation/boltstore"
	"github.com/authd-project/authd/revocation/revocationtest"
)

func TestConformance(t *testing.T) {
	revocationtest.Run(t, func(t *testing.T) revocationtest.Backend {
		return backend(t, filepath.Join(t.TempDir(), "authd.db"))
	})
}

func backend(t *testing.T, path string) revocationtest.Backend {
	store, file := open(t, path, boltstore.Options{})
	reopen := func(path string) func(*testing.T) revocationtest.Backend {
		return func(t *testing.T) revocationtest.Backend {
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			return backend(t, path)
		}
	}
	return revocationtest.Backend{Store: store, Reopen: reopen(path), Lose: reopen(path + ".new")}
}
