package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"testing/fstest"
)

func TestWhileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.db")
	file, err := OpenSQLite(t.Context(), path, Schema{What: "users", Table: "migrations", Files: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	db, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate") // does not wait by itself
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	begin := func() (*sql.Tx, error) { return db.BeginTx(context.WithoutCancel(t.Context()), nil) }
	holder, err := begin()
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	err = whileLocked(ctx, func() error {
		cancel()
		_, err := begin()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the caller leaves: error %v, want context.Canceled", err)
	}

	tries := 0
	err = whileLocked(t.Context(), func() error {
		if tries++; tries == 3 {
			if err := holder.Rollback(); err != nil {
				t.Error(err)
			}
		}
		tx, err := begin()
		if err == nil {
			err = tx.Rollback()
		}
		return err
	})
	if err != nil || tries != 3 {
		t.Errorf("released at the third try: error %v after %d tries", err, tries)
	}

	tries = 0
	broken := errors.New("broken")
	err = whileLocked(t.Context(), func() error { tries++; return broken })
	if !errors.Is(err, broken) || tries != 1 {
		t.Errorf("another error: %v after %d tries, want it at once", err, tries)
	}
}
