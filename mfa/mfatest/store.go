package mfatest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authd-project/authd/mfa"
)

// Run checks that a store keeps the contract of [mfa.Store]. open returns a new, empty one.
func Run(t *testing.T, open func(t *testing.T) mfa.Store) {
	for name, test := range map[string]func(*testing.T, mfa.Store){
		"records":        testRecords,
		"limits":         testLimits,
		"foreign":        testForeign,
		"last factor":    testLastFactor,
		"counter":        testCounter,
		"recovery codes": testRecoveryCodes,
		"spend":          testSpend,
		"data key":       testDataKey,
		"concurrent use": testConcurrentUse,
		"odd texts":      testOddTexts,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var created = time.Date(2026, 3, 1, 12, 0, 0, 123_456_000, time.UTC)

func app(subject, id string) mfa.Record {
	return mfa.Record{
		ID: id, Subject: subject, Kind: mfa.TOTP, Name: "phone " + id, Sealed: []byte("sealed " + id), Counter: 5, CreatedAt: created,
	}
}

func key(subject, id string) mfa.Record {
	return mfa.Record{
		ID: id, Subject: subject, Kind: mfa.Passkey, Name: "key", Credential: []byte("credential " + id), Sealed: []byte{0, 1, 0xff},
		CreatedAt: created.Add(time.Second),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func factors(t *testing.T, s mfa.Store, subject string) []mfa.Record {
	t.Helper()
	records, _, err := s.Factors(t.Context(), subject)
	must(t, err)
	return records
}

func same(a, b mfa.Record) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

func testRecords(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	if got := factors(t, s, "alice"); len(got) != 0 {
		t.Errorf("of nobody: %v", got)
	}
	first, second := app("alice", "1"), key("alice", "2")
	must(t, s.Add(ctx, second, 9))
	must(t, s.Add(ctx, first, 9))
	if got := factors(t, s, "alice"); len(got) != 2 || !same(got[0], first) || !same(got[1], second) {
		t.Errorf("factors\n%#v\nwant, oldest first,\n%#v\n%#v", got, first, second)
	}
	got, err := s.Credential(ctx, second.Credential)
	must(t, err)
	if !same(got, second) {
		t.Errorf("by credential: %#v", got)
	}
	_, err = s.Credential(ctx, []byte("credential 1"))
	want(t, "an unknown credential", err, mfa.ErrNotFound)

	must(t, s.Rename(ctx, "alice", "1", "Größe 東京"))
	if got := factors(t, s, "alice"); got[0].Name != "Größe 東京" || got[1].Name != "key" {
		t.Errorf("after renaming: %#v", got)
	}
	must(t, s.Remove(ctx, "alice", "1", true))
	if got := factors(t, s, "alice"); len(got) != 1 || got[0].ID != "2" {
		t.Errorf("after removing: %#v", got)
	}
	want(t, "removing twice", s.Remove(ctx, "alice", "1", false), mfa.ErrNotFound)
	want(t, "renaming what is gone", s.Rename(ctx, "alice", "1", "x"), mfa.ErrNotFound)
	want(t, "using what is gone", s.Use(ctx, "alice", "1", 100, created), mfa.ErrNotFound)
}

func testLimits(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	must(t, s.Add(ctx, app("alice", "1"), 2))
	want(t, "the same id", s.Add(ctx, app("alice", "1"), 9), mfa.ErrExists)
	want(t, "the id of somebody else", s.Add(ctx, app("bob", "1"), 9), mfa.ErrExists)
	must(t, s.Add(ctx, key("alice", "2"), 2))
	want(t, "one too many", s.Add(ctx, app("alice", "3"), 2), mfa.ErrTooMany)
	stolen := key("bob", "4")
	stolen.Credential = key("alice", "2").Credential
	want(t, "the credential of somebody else", s.Add(ctx, stolen, 9), mfa.ErrExists)
	must(t, s.Add(ctx, app("bob", "5"), 2)) // two without a credential are not the same

	var wg sync.WaitGroup
	var added atomic.Int32
	for i := range 12 {
		wg.Go(func() {
			switch err := s.Add(ctx, app("carol", fmt.Sprint("c", i)), 3); {
			case err == nil:
				added.Add(1)
			case !errors.Is(err, mfa.ErrTooMany):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := added.Load(); n != 3 {
		t.Errorf("%d were added at once where 3 may be", n)
	}
}

// The factors of others are as if they were not there.
func testForeign(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	must(t, s.Add(ctx, app("alice", "1"), 9))
	must(t, s.SetRecoveryCodes(ctx, "alice", [][]byte{{1}}, true))
	want(t, "renaming", s.Rename(ctx, "bob", "1", "x"), mfa.ErrNotFound)
	want(t, "removing", s.Remove(ctx, "bob", "1", false), mfa.ErrNotFound)
	want(t, "using", s.Use(ctx, "bob", "1", 100, created), mfa.ErrNotFound)
	_, err := s.UseRecoveryCode(ctx, "bob", []byte{1})
	want(t, "using a code", err, mfa.ErrNotFound)
	n, err := s.Clear(ctx, "bob")
	if n != 0 || err != nil {
		t.Errorf("clearing: %d, %v", n, err)
	}
	if records, codes, err := s.Factors(ctx, "alice"); len(records) != 1 || codes != 1 || err != nil || !same(records[0], app("alice", "1")) {
		t.Errorf("what is left: %#v, %d, %v", records, codes, err)
	}
}

func testLastFactor(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	must(t, s.Add(ctx, app("alice", "1"), 9))
	must(t, s.Add(ctx, app("alice", "2"), 9))
	must(t, s.SetRecoveryCodes(ctx, "alice", [][]byte{{1}, {2}}, true))
	must(t, s.Remove(ctx, "alice", "1", true))
	want(t, "the last, to be kept", s.Remove(ctx, "alice", "2", true), mfa.ErrConflict)
	if records, codes, _ := s.Factors(ctx, "alice"); len(records) != 1 || codes != 2 {
		t.Errorf("after keeping: %d factors, %d codes", len(records), codes)
	}
	must(t, s.Remove(ctx, "alice", "2", false))
	_, err := s.UseRecoveryCode(ctx, "alice", []byte{1})
	want(t, "a code of one who has no factor", err, mfa.ErrNotFound)

	must(t, s.Add(ctx, app("alice", "3"), 9))
	must(t, s.Add(ctx, key("alice", "4"), 9))
	must(t, s.SetRecoveryCodes(ctx, "alice", [][]byte{{3}}, true))
	n, err := s.Clear(ctx, "alice")
	if n != 2 || err != nil {
		t.Errorf("clearing: %d, %v", n, err)
	}
	_, err = s.UseRecoveryCode(ctx, "alice", []byte{3})
	want(t, "a code after clearing", err, mfa.ErrNotFound)
	if got := factors(t, s, "alice"); len(got) != 0 {
		t.Errorf("after clearing: %v", got)
	}
}

func testCounter(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	must(t, s.Add(ctx, app("alice", "1"), 9)) // at 5
	must(t, s.Add(ctx, key("alice", "2"), 9)) // at 0
	used := created.Add(time.Minute)
	want(t, "back", s.Use(ctx, "alice", "1", 4, used), mfa.ErrSpent)
	want(t, "standing still", s.Use(ctx, "alice", "1", 5, used), mfa.ErrSpent)
	want(t, "to zero", s.Use(ctx, "alice", "1", 0, used), mfa.ErrSpent)
	if got := factors(t, s, "alice")[0]; !got.UsedAt.IsZero() || got.Counter != 5 {
		t.Errorf("a use that was refused left a trace: %#v", got)
	}
	must(t, s.Use(ctx, "alice", "1", 7, used))
	if got := factors(t, s, "alice")[0]; !got.UsedAt.Equal(used) || got.Counter != 7 {
		t.Errorf("after a use: %#v", got)
	}
	want(t, "again", s.Use(ctx, "alice", "1", 7, used), mfa.ErrSpent)

	must(t, s.Use(ctx, "alice", "2", 0, used)) // one that does not count
	must(t, s.Use(ctx, "alice", "2", 0, used))
	must(t, s.Use(ctx, "alice", "2", 1<<32-1, used))
	want(t, "one that has counted, to zero", s.Use(ctx, "alice", "2", 0, used), mfa.ErrSpent)
}

func testRecoveryCodes(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	codes := [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)}
	want(t, "codes of one without factors", s.SetRecoveryCodes(ctx, "alice", codes, false), mfa.ErrNotFound)
	must(t, s.Add(ctx, app("alice", "1"), 9))
	must(t, s.Add(ctx, app("bob", "2"), 9))
	must(t, s.SetRecoveryCodes(ctx, "alice", codes, true))
	must(t, s.SetRecoveryCodes(ctx, "bob", codes[:1], true)) // the same digest may belong to two
	want(t, "fresh ones where there are some", s.SetRecoveryCodes(ctx, "alice", codes[:1], true), mfa.ErrExists)
	left, err := s.UseRecoveryCode(ctx, "alice", codes[0])
	if left != 2 || err != nil {
		t.Errorf("the first use: %d left, %v", left, err)
	}
	_, err = s.UseRecoveryCode(ctx, "alice", codes[0])
	want(t, "the second use", err, mfa.ErrNotFound)
	if _, n, _ := s.Factors(ctx, "alice"); n != 2 {
		t.Errorf("%d left", n)
	}
	must(t, s.SetRecoveryCodes(ctx, "alice", codes[:1], false))
	_, err = s.UseRecoveryCode(ctx, "alice", codes[1])
	want(t, "a code that was replaced", err, mfa.ErrNotFound)
	if left, err := s.UseRecoveryCode(ctx, "alice", codes[0]); left != 0 || err != nil {
		t.Errorf("the last: %d left, %v", left, err)
	}
	if left, err := s.UseRecoveryCode(ctx, "bob", codes[0]); left != 0 || err != nil {
		t.Errorf("bob's: %d left, %v", left, err)
	}
}

func testSpend(t *testing.T, s mfa.Store) {
	ctx, until := t.Context(), time.Now().Add(time.Hour)
	must(t, s.Spend(ctx, mfa.Name{1}, until))
	want(t, "again", s.Spend(ctx, mfa.Name{1}, until), mfa.ErrSpent)
	must(t, s.Spend(ctx, mfa.Name{2}, until))
	must(t, s.Spend(ctx, mfa.Name{3}, time.Now().Add(-time.Hour)))
	must(t, s.Spend(ctx, mfa.Name{3}, until)) // over, and forgotten
	want(t, "what is not over", s.Spend(ctx, mfa.Name{1}, until), mfa.ErrSpent)
}

func testDataKey(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	_, err := s.DataKey(ctx)
	want(t, "none yet", err, mfa.ErrNotFound)
	first, second := mfa.DataKey{MasterID: "a", Sealed: []byte{0, 1}}, mfa.DataKey{MasterID: "b", Sealed: []byte{2}}
	must(t, s.SwapDataKey(ctx, mfa.DataKey{}, first))
	want(t, "a second first", s.SwapDataKey(ctx, mfa.DataKey{}, second), mfa.ErrConflict)
	want(t, "what is not there", s.SwapDataKey(ctx, second, first), mfa.ErrConflict)
	want(t, "another seal", s.SwapDataKey(ctx, mfa.DataKey{MasterID: "a", Sealed: []byte{0}}, second), mfa.ErrConflict)
	got, err := s.DataKey(ctx)
	if err != nil || got.MasterID != "a" || !bytes.Equal(got.Sealed, first.Sealed) {
		t.Errorf("%v, %v", got, err)
	}
	must(t, s.SwapDataKey(ctx, first, second))
	got, err = s.DataKey(ctx)
	if err != nil || got.MasterID != "b" || !bytes.Equal(got.Sealed, second.Sealed) {
		t.Errorf("after the change: %v, %v", got, err)
	}
}

// Of many who use the same thing at once, one succeeds.
func testConcurrentUse(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	must(t, s.Add(ctx, app("alice", "1"), 9))
	must(t, s.SetRecoveryCodes(ctx, "alice", [][]byte{{1}, {2}}, true))
	for what, use := range map[string]func() error{
		"a step": func() error { return s.Use(ctx, "alice", "1", 6, created) },
		"a code": func() error { _, err := s.UseRecoveryCode(ctx, "alice", []byte{1}); return err },
		"a name": func() error { return s.Spend(ctx, mfa.Name{9}, time.Now().Add(time.Hour)) },
		"a key":  func() error { return s.SwapDataKey(ctx, mfa.DataKey{}, mfa.DataKey{MasterID: "a", Sealed: []byte{1}}) },
	} {
		var wg sync.WaitGroup
		var succeeded atomic.Int32
		for range 16 {
			wg.Go(func() {
				switch err := use(); {
				case err == nil:
					succeeded.Add(1)
				case !errors.Is(err, mfa.ErrSpent) && !errors.Is(err, mfa.ErrNotFound) && !errors.Is(err, mfa.ErrConflict):
					t.Errorf("%s: %v", what, err)
				}
			})
		}
		wg.Wait()
		if n := succeeded.Load(); n != 1 {
			t.Errorf("%s was used %d times", what, n)
		}
	}
}

// Nothing has a name that cannot be stored, which is no failure of the store.
func testOddTexts(t *testing.T, s mfa.Store) {
	ctx := t.Context()
	must(t, s.Add(ctx, app("alice", "1"), 9))
	for _, odd := range []string{"\x00", "a\x00b", "\xff"} {
		if got, codes, err := s.Factors(ctx, odd); len(got) != 0 || codes != 0 || err != nil {
			t.Errorf("factors of %q: %v, %d, %v", odd, got, codes, err)
		}
		want(t, "removing", s.Remove(ctx, "alice", odd, false), mfa.ErrNotFound)
		want(t, "renaming", s.Rename(ctx, "alice", odd, "x"), mfa.ErrNotFound)
		_, err := s.UseRecoveryCode(ctx, odd, []byte{1})
		want(t, "a code", err, mfa.ErrNotFound)
	}
}
