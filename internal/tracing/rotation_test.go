package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/internal/tracing"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/boltstore"
)

// leader is a rotator and a view of one process on a ring, all of it traced.
type leader struct {
	spans   *tracetest.SpanRecorder
	rotator *keys.Rotator
	view    *keys.View
}

func newLeader(t *testing.T, ring keys.Store, policy keys.Policy) *leader {
	t.Helper()
	l := &leader{spans: tracetest.NewSpanRecorder()}
	tracer := tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(l.spans)))
	rotation := tracer.Rotation(ring)
	var err error
	if l.view, err = keys.NewView(keys.ViewConfig{Store: tracer.Published(ring), Policy: policy}); err != nil {
		t.Fatal(err)
	}
	l.rotator, err = keys.NewRotator(keys.RotatorConfig{
		Store: rotation, Policy: policy, Holder: "alice", Pass: rotation.Pass, View: l.view,
		Revocations: keys.KeyRevokerFunc(func(context.Context, string, time.Time) error { return nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newRing(t *testing.T) keys.Store {
	t.Helper()
	file, err := boltfile.Open(filepath.Join(t.TempDir(), "authd.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	ring, err := boltstore.Open(file, keys.NewCodec(keys.GenerateKEK()))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// run lets the leader work until done, and waits for it.
func (l *leader) run(t *testing.T, done func() bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- l.view.Run(ctx) }()
	go func() { ended <- l.rotator.Lead(ctx) }()
	for deadline := time.Now().Add(time.Minute); !done() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	finished := done()
	stop()
	for range 2 {
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if !finished {
		t.Fatalf("not done within a minute; the spans:\n%s", strings.Join(l.traces(), "\n"))
	}
}

// traces returns each trace as one line: its spans by their beginning, with what they say.
func (l *leader) traces() []string {
	var order []string
	traces := map[string][]sdktrace.ReadOnlySpan{}
	for _, s := range l.spans.Ended() {
		id := s.SpanContext().TraceID().String()
		if traces[id] == nil {
			order = append(order, id)
		}
		traces[id] = append(traces[id], s)
	}
	var lines []string
	for _, id := range order {
		spans := traces[id]
		slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
		var names []string
		for _, s := range spans {
			names = append(names, s.Name())
		}
		slices.Sort(names[1:])
		lines = append(lines, strings.Join(names, ", "))
	}
	return lines
}

func attribute(s sdktrace.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return fmt.Sprint(a.Value.AsInterface())
		}
	}
	return ""
}

// Each pass that changes something is one trace: the claim, and then the ring's beginning with the confirmations that follow
// from it. Passes that change nothing are in none.
func TestRotation(t *testing.T) {
	policy := keys.Policy{Algorithm: "ES256", RotateEvery: time.Hour}.WithDefaults()
	l := newLeader(t, newRing(t), policy)
	passes := 0
	l.run(t, func() bool {
		ring, _, err := l.view.Ring()
		settled := err == nil && len(ring.Keys) > 1 && !slices.ContainsFunc(ring.Keys, func(k keys.Key) bool { return k.Since.IsZero() })
		if settled {
			passes++
		}
		return settled && passes > 20 // time for what must not be seen
	})

	traces := l.traces()
	if len(traces) != 2 || traces[0] != "ring rotation, ring claim" || !strings.HasPrefix(traces[1], "ring rotation, ring load") {
		t.Fatalf("traces:\n%s", strings.Join(traces, "\n"))
	}
	for _, name := range []string{"ring load", "ring plan", "ring write", "ring publish"} {
		if !strings.Contains(traces[1], name) {
			t.Errorf("the second trace has no %s: %s", name, traces[1])
		}
	}
	var claimed sdktrace.ReadOnlySpan
	said := ""
	for _, s := range l.spans.Ended() {
		said += attribute(s, tracing.Changes)
		switch {
		case s.Name() != "ring rotation":
			if !s.Parent().IsValid() {
				t.Errorf("%s is below nothing", s.Name())
			}
		case claimed == nil:
			claimed = s
		case len(s.Links()) != 1 || s.Links()[0].SpanContext.TraceID() != claimed.SpanContext().TraceID():
			t.Errorf("the pass does not link to its term's claim: %v", s.Links())
		}
		if s.Name() != "ring load" && attribute(s, tracing.Term) != "1" {
			t.Errorf("%s: term %q", s.Name(), attribute(s, tracing.Term))
		}
	}
	ring, _, _ := l.view.Ring()
	for _, k := range ring.Keys {
		if !strings.Contains(said, k.ID+" "+string(k.State)) && !strings.Contains(said, k.ID+" confirmed") {
			t.Errorf("nothing is said of the key %s, %s:\n%s", k.ID, k.State, said)
		}
	}
}

// Who does not lead tells when it has begun to publish what another wrote.
func TestPublishedByAnother(t *testing.T) {
	policy := keys.Policy{Algorithm: "ES256", RotateEvery: time.Hour}.WithDefaults()
	ring := newRing(t)
	first := newLeader(t, ring, policy)
	other := newLeader(t, ring, policy)
	first.run(t, func() bool { return first.view.Check() == nil })
	if err := other.view.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(other.spans.Ended()); n != 0 {
		t.Fatalf("%d spans for the first look", n)
	}
	signing, _, _, err := first.view.SigningKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revoked := false
	first.run(t, func() bool {
		if !revoked {
			_, err := first.rotator.Revoke(t.Context(), signing)
			revoked = err == nil
		}
		return revoked
	})
	if err := other.view.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := other.spans.Ended()
	if len(spans) != 1 || spans[0].Name() != "ring publish" || spans[0].Parent().IsValid() || attribute(spans[0], tracing.Term) != "2" ||
		!strings.Contains(attribute(spans[0], tracing.Changes), " active") {
		t.Errorf("spans of who follows: %v", other.traces())
	}
}
