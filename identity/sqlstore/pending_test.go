package sqlstore_test

import (
	"context"
	"errors"
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/sqlstore"
)

// A change that cannot leave its note is not made.
func TestNoChangeWithoutItsNote(t *testing.T) { everywhere(t, testNoChangeWithoutItsNote) }

func testNoChangeWithoutItsNote(t *testing.T, db database) {
	s := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	alice, err := s.Add(t.Context(), "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	db.execute(t, `ALTER TABLE pending_ends RENAME TO elsewhere`)
	for name, change := range map[string]func(context.Context) error{
		"SetPassword": func(ctx context.Context) error {
			_, err := s.SetPassword(ctx, "alice", "copper lantern giraffe")
			return err
		},
		"SetDisabled": func(ctx context.Context) error { _, err := s.SetDisabled(ctx, "alice", true); return err },
		"Remove":      func(ctx context.Context) error { _, err := s.Remove(ctx, "alice"); return err },
	} {
		if err := change(t.Context()); !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("%s: error %v, want ErrUnavailable", name, err)
		}
		account, err := s.Authenticate(t.Context(), "alice", password)
		if err != nil || account.Disabled || !account.PasswordChangedAt.Equal(alice.PasswordChangedAt) {
			t.Errorf("after %s without its note: %+v, %v, want the account as it was", name, account, err)
		}
	}
	db.execute(t, `ALTER TABLE elsewhere RENAME TO pending_ends`)
	if _, err := s.Remove(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
}

// What one process leaves, another finds, also one that starts later.
func TestNotesAreShared(t *testing.T) { everywhere(t, testNotesAreShared) }

func testNotesAreShared(t *testing.T, db database) {
	s, beside := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)}), db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	alice, err := s.Add(t.Context(), "alice", password)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	later := db.open(t, sqlstore.Config{Hasher: newHasher(t, nil)})
	for name, other := range map[string]*sqlstore.Store{"beside": beside, "later": later} {
		found, err := other.PendingEnds(t.Context(), "", 10)
		if err != nil || len(found) != 1 || found[0].Subject != alice.Subject {
			t.Errorf("%s: %+v, %v, want a note about %s", name, found, err, alice.Subject)
		}
	}
	found, err := s.PendingEnds(t.Context(), alice.Subject, 10)
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := beside.EndsDone(t.Context(), found[0].ID); err != nil {
		t.Fatal(err)
	}
	if found, err := later.PendingEnds(t.Context(), "", 10); err != nil || len(found) > 0 {
		t.Errorf("struck off elsewhere: %+v, %v", found, err)
	}
}
