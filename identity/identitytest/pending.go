package identitytest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/authd-project/authd/identity"
)

// NotingDirectory is a directory whose changes leave notes that sessions are to be ended.
type NotingDirectory interface {
	identity.Directory
	identity.Notes
}

// OpenNotingDirectory returns an empty directory without notes and registers its clean-up.
type OpenNotingDirectory func(t *testing.T, h *identity.Hasher) NotingDirectory

// RunNotes runs the suite of directories whose changes leave notes.
func RunNotes(t *testing.T, open OpenNotingDirectory) {
	for _, c := range []struct {
		name string
		test func(*testing.T, NotingDirectory)
	}{
		{"ChangesLeaveNotes", testChangesLeaveNotes},
		{"OthersLeaveNone", testOthersLeaveNone},
		{"NotesAreStruckOff", testNotesAreStruckOff},
		{"NotesInPages", testNotesInPages},
		{"NotesContext", testNotesContext},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := newHasher(t)
			c.test(t, open(t, h))
		})
	}
}

func notes(t *testing.T, d NotingDirectory, subject string) []identity.PendingEnd {
	t.Helper()
	found, err := d.PendingEnds(t.Context(), subject, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func testChangesLeaveNotes(t *testing.T, d NotingDirectory) {
	alice, bob := add(t, d, "alice"), add(t, d, "bob")
	for i, c := range []struct {
		name   string
		change func() (identity.Account, error)
	}{
		{"SetPassword", func() (identity.Account, error) { return d.SetPassword(t.Context(), "alice", another) }},
		{"SetDisabled", func() (identity.Account, error) { return d.SetDisabled(t.Context(), "alice", true) }},
		{"SetDisabled again", func() (identity.Account, error) { return d.SetDisabled(t.Context(), "alice", true) }},
		{"Remove", func() (identity.Account, error) { return d.Remove(t.Context(), "alice") }},
	} {
		before := time.Now().Truncate(time.Microsecond)
		account, err := c.change()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		left := notes(t, d, alice.Subject)
		if len(left) != i+1 {
			t.Fatalf("after %s there are %d notes, want %d", c.name, len(left), i+1)
		}
		n := left[i]
		if n.Subject != alice.Subject || n.ID == "" || n.ChangedAt.Before(before) || n.ChangedAt.After(time.Now()) {
			t.Errorf("%s left the note %+v", c.name, n)
		}
		if c.name == "SetPassword" && !n.ChangedAt.Equal(account.PasswordChangedAt) {
			t.Errorf("the note is of %v, and the password of %v", n.ChangedAt, account.PasswordChangedAt)
		}
		if slices.ContainsFunc(left[:i], func(other identity.PendingEnd) bool { return other.ID == n.ID }) {
			t.Errorf("%s left a note with the ID of another", c.name)
		}
	}
	if left := notes(t, d, bob.Subject); len(left) > 0 {
		t.Errorf("changes of alice left %+v about bob", left)
	}
	if left := notes(t, d, ""); len(left) != 4 {
		t.Errorf("%d notes about anybody, want 4", len(left))
	}
}

// What ends no session leaves no note, and neither does what is refused.
func testOthersLeaveNone(t *testing.T, d NotingDirectory) {
	add(t, d, "alice")
	if _, err := d.Import(t.Context(), "bob", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetRoles(t.Context(), "alice", "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetDisabled(t.Context(), "alice", false); err != nil {
		t.Fatal(err)
	}
	logsIn(t, d, "alice", password)
	_, err := d.SetPassword(t.Context(), "alice", "short")
	wantErr(t, "a short password", err, identity.ErrWeakPassword)
	for name, change := range changes(d, "mallory") {
		wantErr(t, name+" of an unknown user", change(t.Context()), identity.ErrNotFound)
	}
	if left := notes(t, d, ""); len(left) > 0 {
		t.Errorf("notes were left: %+v", left)
	}
	for _, subject := range []string{"nobody", "a\x00", "a\xff", "%"} {
		if left := notes(t, d, subject); len(left) > 0 {
			t.Errorf("about %q: %+v", subject, left)
		}
	}
}

func testNotesAreStruckOff(t *testing.T, d NotingDirectory) {
	alice := add(t, d, "alice")
	for range 3 {
		if _, err := d.SetDisabled(t.Context(), "alice", true); err != nil {
			t.Fatal(err)
		}
	}
	left := notes(t, d, alice.Subject)
	for range 2 { // the second time they are gone
		if err := d.EndsDone(t.Context(), left[0].ID, left[2].ID, "none"); err != nil {
			t.Fatal(err)
		}
	}
	if now := notes(t, d, alice.Subject); len(now) != 1 || now[0] != left[1] {
		t.Errorf("left are %+v, want %+v", now, left[1])
	}
	if err := d.EndsDone(t.Context()); err != nil {
		t.Error(err)
	}
}

func testNotesInPages(t *testing.T, d NotingDirectory) {
	for _, name := range []string{"carol", "alice", "bob"} {
		add(t, d, name)
		if _, err := d.SetDisabled(t.Context(), name, true); err != nil {
			t.Fatal(err)
		}
	}
	all := notes(t, d, "")
	if !slices.IsSortedFunc(all, func(a, b identity.PendingEnd) int { return a.ChangedAt.Compare(b.ChangedAt) }) {
		t.Errorf("the oldest is not first: %+v", all)
	}
	page, err := d.PendingEnds(t.Context(), "", 2)
	if err != nil || !slices.Equal(page, all[:2]) {
		t.Errorf("a page of 2: %+v, %v, want %+v", page, err, all[:2])
	}
}

func testNotesContext(t *testing.T, d NotingDirectory) {
	alice := add(t, d, "alice")
	if _, err := d.SetDisabled(t.Context(), "alice", true); err != nil {
		t.Fatal(err)
	}
	left := notes(t, d, alice.Subject)
	_, err := d.PendingEnds(canceled(t), "", 10)
	wantErr(t, "PendingEnds after the caller left", err, context.Canceled)
	wantErr(t, "EndsDone after the caller left", d.EndsDone(canceled(t), left[0].ID), context.Canceled)
	if now := notes(t, d, ""); !slices.Equal(now, left) {
		t.Errorf("left are %+v, want %+v", now, left)
	}
}
