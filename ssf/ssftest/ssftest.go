// Package ssftest holds what every [ssf.Store] must do, as a test that each backend runs.
package ssftest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/authd-project/authd/ssf"
)

// Run tests a store. open returns the store as after a restart: what was stored before is there, and what open returned before is
// not used any more.
func Run(t *testing.T, open func(t *testing.T) ssf.Store) {
	stream := func(id string) ssf.Stream {
		return ssf.Stream{
			ID: id, Client: "c", Requested: []string{ssf.SessionRevoked}, Status: ssf.Paused, Reason: "r", Removed: []string{"u"}, Description: "d",
			Delivery: ssf.Delivery{Method: ssf.Push, URL: "https://example.com/", Authorization: "secret"},
		}
	}
	event := func(id string) ssf.Claims {
		return ssf.Claims{
			Issuer: "i", ID: id, IssuedAt: 7, Audience: "c", Transaction: "t", SubjectID: ssf.SubjectID{"format": "opaque", "id": "x"},
			Events: map[string]map[string]any{ssf.SessionRevoked: {"initiating_entity": "user"}},
		}
	}
	find := func(t *testing.T, s ssf.Store, id string) *ssf.Stream {
		t.Helper()
		list, err := s.Streams(t.Context())
		must(t, err)
		for _, got := range list {
			if got.ID == id {
				return &got
			}
		}
		return nil
	}
	ids := func(t *testing.T, s ssf.Store, stream string, n int) (string, bool) {
		t.Helper()
		events, more, err := s.Oldest(t.Context(), stream, n)
		must(t, err)
		names := make([]string, len(events))
		for i, e := range events {
			names[i] = e.ID
		}
		return strings.Join(names, " "), more
	}
	appended := func(t *testing.T, s ssf.Store, stream string, want int, names ...string) {
		t.Helper()
		var events []ssf.Claims
		for _, name := range names {
			events = append(events, event(name))
		}
		lengths, err := s.Append(t.Context(), map[string][]ssf.Claims{stream: events})
		must(t, err)
		if lengths[stream] != want {
			t.Errorf("the queue has %d events, want %d", lengths[stream], want)
		}
	}

	t.Run("streams", func(t *testing.T) {
		s := open(t)
		want := stream("streams")
		must(t, s.Put(t.Context(), want))
		s = open(t)
		if got := find(t, s, want.ID); got == nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("stored %+v, found %+v", want, got)
		}
		want.Status, want.Removed = ssf.Enabled, nil
		must(t, s.Put(t.Context(), want))
		s = open(t)
		if got := find(t, s, want.ID); got == nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("replaced by %+v, found %+v", want, got)
		}
		must(t, s.Delete(t.Context(), want.ID))
		must(t, s.Delete(t.Context(), want.ID))
		s = open(t)
		if got := find(t, s, want.ID); got != nil {
			t.Errorf("deleted, found %+v", got)
		}
	})
	t.Run("queues", func(t *testing.T) {
		s := open(t)
		must(t, s.Put(t.Context(), stream("queues")))
		must(t, s.Put(t.Context(), stream("other")))
		appended(t, s, "queues", 3, "c", "a", "b")
		appended(t, s, "queues", 4, "a", "d") // a is there already
		appended(t, s, "other", 1, "a")
		must(t, s.Put(t.Context(), stream("queues"))) // which leaves the queue alone
		s = open(t)
		if got, more := ids(t, s, "queues", 10); got != "c a b d" || more {
			t.Errorf("the queue has %q, more %v", got, more)
		}
		if got, more := ids(t, s, "queues", 2); got != "c a" || !more {
			t.Errorf("the queue begins with %q, more %v", got, more)
		}
		if got, more := ids(t, s, "queues", 0); got != "" || !more {
			t.Errorf("of none there are %q, more %v", got, more)
		}
		events, _, err := s.Oldest(t.Context(), "queues", 1)
		must(t, err)
		if !reflect.DeepEqual(events[0], event("c")) {
			t.Errorf("an event reads as %+v", events[0])
		}
		must(t, s.Remove(t.Context(), "queues", "a", "unknown", "c"))
		must(t, s.Remove(t.Context(), "queues", "a"))
		s = open(t)
		if got, _ := ids(t, s, "queues", 10); got != "b d" {
			t.Errorf("after two were removed: %q", got)
		}
		appended(t, s, "queues", 3, "a") // it was taken, and comes once more
		if got, _ := ids(t, s, "other", 10); got != "a" {
			t.Errorf("the other queue has %q", got)
		}
	})
	t.Run("what does not exist", func(t *testing.T) {
		s := open(t)
		lengths, err := s.Append(t.Context(), map[string][]ssf.Claims{"nowhere": {event("a")}})
		must(t, err)
		if _, there := lengths["nowhere"]; there {
			t.Error("a queue without a stream has a length")
		}
		if got, more := ids(t, s, "nowhere", 10); got != "" || more {
			t.Errorf("a queue without a stream has %q", got)
		}
		must(t, s.Remove(t.Context(), "nowhere", "a"))
	})
	t.Run("a deleted stream begins anew", func(t *testing.T) {
		s := open(t)
		must(t, s.Put(t.Context(), stream("again")))
		appended(t, s, "again", 1, "a")
		must(t, s.Delete(t.Context(), "again"))
		must(t, s.Put(t.Context(), stream("again")))
		appended(t, s, "again", 1, "b")
		if got, _ := ids(t, s, "again", 10); got != "b" {
			t.Errorf("the queue has %q", got)
		}
	})
	t.Run("several at once", func(t *testing.T) {
		s := open(t)
		must(t, s.Put(t.Context(), stream("busy")))
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 20 {
					name := fmt.Sprint(w, "-", i)
					if _, err := s.Append(t.Context(), map[string][]ssf.Claims{"busy": {event(name)}}); err != nil {
						t.Error(err)
					}
					if i%2 == 0 {
						if err := s.Remove(t.Context(), "busy", name); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		got, _ := ids(t, s, "busy", 1000)
		names := strings.Fields(got)
		slices.Sort(names)
		if len(slices.Compact(names)) != 80 {
			t.Errorf("%d events are left of 160, of which every other was removed", len(names))
		}
		appended(t, s, "busy", 81, "last")
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
