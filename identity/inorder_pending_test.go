package identity_test

import (
	"testing"

	"github.com/authd-project/authd/identity"
	"github.com/authd-project/authd/identity/identitytest"
)

// Notes name accounts as sessions do.
func TestInOrderNotes(t *testing.T) {
	for _, name := range []string{"", "local"} {
		t.Run("named "+name, func(t *testing.T) {
			h := quickHasher(t)
			users := managed(t, h)
			o := inOrder(t, identity.Source{Name: "file", Users: file(t, h, identitytest.Person{Username: "bob"})},
				identity.Source{Name: name, Users: users})
			alice, err := o.Add(t.Context(), "alice", "violin marmalade tundra")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Remove(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			for _, subject := range []string{"", alice.Subject} {
				notes, err := o.PendingEnds(t.Context(), subject, 10)
				if err != nil || len(notes) != 1 || notes[0].Subject != alice.Subject {
					t.Fatalf("notes about %q: %+v, %v, want one about %q", subject, notes, err, alice.Subject)
				}
			}
			for _, subject := range []string{"file:bob", "nobody", "other:" + alice.Subject, ":", "local:"} {
				if notes, err := o.PendingEnds(t.Context(), subject, 10); err != nil || len(notes) > 0 {
					t.Errorf("notes about %q: %+v, %v", subject, notes, err)
				}
			}
			notes, err := o.PendingEnds(t.Context(), "", 10)
			if err != nil {
				t.Fatal(err)
			}
			if err := o.EndsDone(t.Context(), notes[0].ID); err != nil {
				t.Fatal(err)
			}
			if left, err := users.PendingEnds(t.Context(), "", 10); err != nil || len(left) > 0 {
				t.Errorf("left are %+v, %v", left, err)
			}
		})
	}
}

// Where nothing can be changed there is nothing to note.
func TestInOrderOfReadOnlyHasNoNotes(t *testing.T) {
	o := inOrder(t, identity.Source{Name: "file", Users: file(t, quickHasher(t))})
	if notes, err := o.PendingEnds(t.Context(), "", 10); err != nil || len(notes) > 0 {
		t.Errorf("%+v, %v", notes, err)
	}
	if err := o.EndsDone(t.Context(), "a note"); err != nil {
		t.Error(err)
	}
}
