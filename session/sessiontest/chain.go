package sessiontest

import (
	"testing"
	"time"

	"github.com/authd-project/authd/session"
)

func testRotate(t *testing.T, h *harness) {
	s := h.create("alice")
	for generation := uint64(1); generation < 4; generation++ {
		h.Advance(2 * limits.Grace)
		r := h.refresh(s.ID, generation, session.Rotated, generation+1)
		want := s
		want.Address = "192.0.2.2"
		want.LastUsedAt, want.Chain = r.LastUsedAt, session.Chain{Generation: generation + 1, Since: r.LastUsedAt}
		if !equal(r, want) {
			t.Errorf("after rotation: %+v\nwant: %+v", r, want)
		}
		if !r.LastUsedAt.After(s.LastUsedAt) {
			t.Errorf("last use did not move: %v", r.LastUsedAt)
		}
		if want := map[bool]string{true: s.Address, false: r.Address}[generation == 1]; r.PreviousAddress != want {
			t.Errorf("previous address %q, want %q", r.PreviousAddress, want)
		}
		if got := h.get(s.ID); !equal(got, r) {
			t.Errorf("stored: %+v\nanswered: %+v", got, r)
		}
	}
}

func testReplayCurrent(t *testing.T, h *harness) {
	s := h.create("alice")
	h.Advance(limits.Grace / 2)
	r := h.refresh(s.ID, 1, session.Replayed, 1)
	if r.Chain.Replays != 1 || !r.Chain.Since.Equal(s.Chain.Since) {
		t.Errorf("after a replay: %+v; want one replay of the generation that began at %v", r.Chain, s.Chain.Since)
	}
	if !r.LastUsedAt.After(s.LastUsedAt) {
		t.Error("a replay is a use, but last use did not move")
	}
	h.Advance(limits.Grace) // the replay did not prolong the grace
	h.refresh(s.ID, 1, session.Rotated, 2)
}

func testReplayParent(_ *testing.T, h *harness) {
	s := h.create("alice")
	h.Advance(2 * limits.Grace)
	h.refresh(s.ID, 1, session.Rotated, 2)
	h.Advance(limits.Grace / 2)
	h.refresh(s.ID, 1, session.Replayed, 2)
	h.refresh(s.ID, 2, session.Replayed, 2)
}

func testTooManyReplays(_ *testing.T, h *harness) {
	s := h.create("alice")
	h.Advance(2 * limits.Grace)
	h.refresh(s.ID, 1, session.Rotated, 2)
	for i := range limits.MaxReplays {
		h.refresh(s.ID, uint64(1+i%2), session.Replayed, 2)
	}
	h.refresh(s.ID, 2, session.Reused, 2)
	h.wantEnded(s)
}

func testReuseEnds(t *testing.T, h *harness) {
	s, other := h.create("alice"), h.create("alice")
	for generation := uint64(1); generation < 3; generation++ {
		h.Advance(2 * limits.Grace)
		h.refresh(s.ID, generation, session.Rotated, generation+1)
	}
	before := h.get(s.ID)
	r := h.refresh(s.ID, 1, session.Reused, 3)
	if !equal(r, before) {
		t.Errorf("reuse answered %+v\nwant the session as it was: %+v", r, before)
	}
	if r.PreviousAddress != before.Address {
		t.Errorf("previous address %q, want %q", r.PreviousAddress, before.Address)
	}
	h.wantEnded(s)
	h.get(other.ID)
}

func testParentAfterGraceEnds(_ *testing.T, h *harness) {
	s := h.create("alice")
	h.Advance(2 * limits.Grace)
	h.refresh(s.ID, 1, session.Rotated, 2)
	h.Advance(2 * limits.Grace)
	h.refresh(s.ID, 1, session.Reused, 2)
	h.wantEnded(s)
}

func testAdopt(_ *testing.T, h *harness) {
	s := h.create("alice")
	h.refresh(s.ID, 7, session.Adopted, 7)
	h.refresh(s.ID, 6, session.Replayed, 7)
	h.Advance(2 * limits.Grace)
	h.refresh(s.ID, 7, session.Rotated, 8)
	h.Advance(time.Second)
	h.refresh(s.ID, 1, session.Reused, 8)
	h.wantEnded(s)
}
