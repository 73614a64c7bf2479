package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/audit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a sink that can be slow or fail.
type memory struct {
	mu      sync.Mutex
	entries []audit.Entry
	fail    error
	hold    chan struct{} // nil, or writes wait until it is closed or their context ends
	batches int
}

func (m *memory) Write(ctx context.Context, entries []audit.Entry) (int, error) {
	m.mu.Lock()
	fail, hold := m.fail, m.hold
	m.batches++
	m.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	if fail != nil {
		return 0, fail
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = append(m.entries, entries...)
	return len(entries), nil
}

func (m *memory) set(fail error, hold chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail, m.hold = fail, hold
}

func (m *memory) types() (types []audit.Type) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.entries {
		types = append(types, e.Event.Type)
	}
	return types
}

func (m *memory) all() []audit.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]audit.Entry(nil), m.entries...)
}

func newLog(t *testing.T, cfg audit.Config) *audit.Log {
	t.Helper()
	l, err := audit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLog(t, l) })
	return l
}

func closeLog(t *testing.T, l *audit.Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30s: %s", what)
		}
	}
}

// Whatever is put into an event, its line is one line of printable ASCII, and reads back as what was put in.
func TestLinesCannotBeForged(t *testing.T) {
	for _, text := range []string{
		"plain", "a\r\n{\"v\":1,\"type\":\"logout\"}", "\x1b[2J\x07", "\u2028\u2029", "\u202egnp.exe", "\x7f\u0080\u009b31m",
		"naïve 日本 \U0001F600", `"}` + "\n", "\x00", `\u0000`,
	} {
		e := audit.Event{
			Type: audit.Login, Username: text, UserAgent: text, Reason: text, ClientID: text, Subject: text, SessionID: text,
			Address: text, RequestID: text, Actor: audit.Actor{Type: audit.User, ID: text}, Details: map[string]string{"scope": text},
		}
		line, err := audit.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range line {
			if b < 0x20 || b >= 0x7F {
				t.Errorf("%q: byte %#x in %s", text, b, line)
			}
		}
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil {
			t.Errorf("%q: %v in %s", text, err, line)
		}
		if got["username"] != text || got["type"] != "login" || got["details"].(map[string]any)["scope"] != text {
			t.Errorf("%q reads back as %v", text, got)
		}
	}
}

func TestLinesAreBounded(t *testing.T) {
	long := strings.Repeat("日", 1<<20)
	line, err := audit.Encode(audit.Event{
		Type: audit.Login, Username: long, UserAgent: long, Reason: long, ClientID: long, Subject: long, SessionID: long, Address: long,
		RequestID: long, Actor: audit.Actor{ID: long}, Details: map[string]string{long: long, "b": "\xff\xfe" + long},
	})
	if err != nil || len(line) > 32<<10 || !json.Valid(line) || !utf8.Valid(line) {
		t.Errorf("%d bytes, %v", len(line), err)
	}
	if _, err := audit.Encode(audit.Event{Type: "made_up"}); err == nil {
		t.Error("a type that is not of the list is encoded")
	}
}

// What Record has returned nil for is in every sink, in order, whoever records beside.
func TestRecordedIsKept(t *testing.T) {
	one, two := &memory{}, &memory{}
	l := newLog(t, audit.Config{Wait: time.Minute, Targets: []audit.Target{
		{Name: "one", Sink: one}, {Name: "two", Sink: two, Only: []audit.Type{audit.Logout}},
	}})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 100 {
				e := audit.Event{Type: audit.Logout, Subject: fmt.Sprint(w), SessionID: fmt.Sprint(i)}
				if i%2 == 1 {
					e.Type = audit.UserAdded
				}
				if err := l.Record(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, m := len(one.all()), len(two.all()); n != 800 || m != 400 {
		t.Errorf("%d and %d events, want 800 and 400", n, m)
	}
	last, ids := map[string]int{}, map[string]bool{}
	for _, e := range one.all() {
		var i int
		fmt.Sscan(e.Event.SessionID, &i)
		if ids[e.Event.ID] || e.Event.ID == "" || e.Event.Time.IsZero() {
			t.Errorf("event %+v", e.Event)
		}
		if ids[e.Event.ID] = true; i < last[e.Event.Subject] {
			t.Errorf("event %d of %s comes after %d", i, e.Event.Subject, last[e.Event.Subject])
		}
		last[e.Event.Subject] = i
	}
	if one.batches > 700 {
		t.Errorf("%d writes for 800 events of 8 that record at once: they do not share", one.batches)
	}
}

// A sink that hangs holds Record up once, for Wait, and no other sink; what it missed is counted, and told when it works again.
func TestStuckSink(t *testing.T) {
	stuck, good := &memory{hold: make(chan struct{})}, &memory{}
	const queue = 10
	l := newLog(t, audit.Config{Wait: 10 * time.Millisecond, Queue: queue, Targets: []audit.Target{
		{Name: "stuck", Sink: stuck}, {Name: "good", Sink: good},
	}})
	for range queue + 5 {
		if err := l.Record(t.Context(), audit.Event{Type: audit.Logout}); !errors.Is(err, audit.ErrUnconfirmed) {
			t.Fatalf("recorded with a sink that hangs: %v", err)
		}
	}
	if s := l.Stats().Sinks[0]; !s.Stuck || s.Waiting != queue || s.Lost != 5 {
		t.Errorf("the sink that hangs: %+v", s)
	}
	if s := l.Stats().Sinks[1]; s.Stuck || s.Lost != 0 {
		t.Errorf("the other: %+v", s)
	}
	until(t, "all events in the good sink", func() bool { return len(good.all()) == queue+5 })
	close(stuck.hold)
	until(t, "the report of what was lost", func() bool { return len(stuck.all()) == queue+1 })
	entries := stuck.all()
	if e := entries[queue].Event; e.Type != audit.AuditLost || e.Count != 5 {
		t.Errorf("after the loss came %+v", e)
	}
	until(t, "the sink to recover", func() bool { return !l.Stats().Sinks[0].Stuck })
	if err := l.Record(t.Context(), audit.Event{Type: audit.Logout}); err != nil && l.Stats().Sinks[0].Stuck {
		t.Errorf("after it recovered: %v", err)
	}
	if len(good.types()) != queue+6 {
		t.Errorf("the good sink got %d events", len(good.types()))
	}
}

// Nobody waits for a sink that is known to fail.
func TestKnownToFail(t *testing.T) {
	m := &memory{fail: errors.New("disk full")}
	l := newLog(t, audit.Config{Wait: time.Hour, Targets: []audit.Target{{Name: "m", Sink: m}}})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Record(gone, audit.Event{Type: audit.Logout}); !errors.Is(err, audit.ErrUnconfirmed) {
		t.Errorf("recorded by a sink that fails: %v", err)
	}
	until(t, "the failure to be known", func() bool { return l.Stats().Sinks[0].Stuck })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Record(ctx, audit.Event{Type: audit.Logout}); !errors.Is(err, audit.ErrUnconfirmed) || ctx.Err() != nil {
		t.Errorf("waited for: %v", err)
	}
	m.set(nil, nil)
}

// A sink that fails is tried again, and gets everything that its queue had room for.
func TestFailingSink(t *testing.T) {
	m := &memory{fail: errors.New("disk full")}
	l := newLog(t, audit.Config{Wait: time.Millisecond, Targets: []audit.Target{{Name: "m", Sink: m}}})
	for range 3 {
		if err := l.Record(t.Context(), audit.Event{Type: audit.Logout}); err == nil {
			t.Error("recorded by a sink that fails")
		}
	}
	m.set(nil, nil)
	until(t, "the events", func() bool { return len(m.all()) == 3 })
	if types := m.types(); types[2] != audit.Logout {
		t.Errorf("types %v: nothing was lost", types)
	}
}

// Close gives up on a sink that hangs, says what it did not get, and lets the others finish.
func TestCloseIsBounded(t *testing.T) {
	stuck, good := &memory{hold: make(chan struct{})}, &memory{}
	l, err := audit.New(audit.Config{Wait: time.Millisecond, Targets: []audit.Target{{Name: "stuck", Sink: stuck}, {Name: "good", Sink: good}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		_ = l.Record(t.Context(), audit.Event{Type: audit.Logout})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); err == nil || !strings.Contains(err.Error(), "4 events were not given to stuck") {
		t.Errorf("closed with %v", err)
	}
	if len(good.all()) != 4 {
		t.Errorf("the good sink got %d events", len(good.all()))
	}
}

// What strangers can cause without end is merged; wrong passwords and what users do are not. No event is unaccounted for.
func TestFloodsAreMerged(t *testing.T) {
	m := &memory{}
	l := newLog(t, audit.Config{Wait: time.Minute, Targets: []audit.Target{{Name: "m", Sink: m}}})
	const each = 500
	for range each {
		for _, e := range []audit.Event{
			{Type: audit.RateLimited, Outcome: audit.Failure, Details: map[string]string{"limit": "me"}, Address: "192.0.2.1"},
			{Type: audit.AdminRefused, Outcome: audit.Failure},
			{Type: audit.Login, Outcome: audit.Failure, Reason: "too_many_attempts"},
			{Type: audit.Login, Outcome: audit.Failure, Reason: audit.InvalidCredentials},
			{Type: audit.Login},
		} {
			if err := l.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum := func() map[string]int {
		counts := map[string]int{}
		for _, e := range m.all() {
			counts[string(e.Event.Type)+" "+e.Event.Reason+" "+e.Event.Details["limit"]] += max(e.Event.Count, 1)
		}
		return counts
	}
	want := map[string]int{
		"rate_limited  me": each, "admin_refused  ": each, "login too_many_attempts ": each, "login invalid_credentials ": each, "login  ": each,
	}
	until(t, "all to be accounted for", func() bool { return fmt.Sprint(sum()) == fmt.Sprint(want) })
	lines := map[audit.Type]int{}
	for _, e := range m.all() {
		lines[e.Event.Type]++
		if e.Event.Count > 1 && e.Event.Address != "" {
			t.Errorf("a merged event names one address: %+v", e.Event)
		}
	}
	if lines[audit.RateLimited] >= each || lines[audit.AdminRefused] >= each || lines[audit.Login] < 2*each {
		t.Errorf("lines: %v", lines)
	}
	if l.Stats().Merged == 0 {
		t.Error("nothing counts as merged")
	}
	until(t, "an event to stand alone again", func() bool {
		if err := l.Record(t.Context(), audit.Event{Type: audit.AdminRefused, Outcome: audit.Failure, Address: "192.0.2.7"}); err != nil {
			t.Fatal(err)
		}
		entries := m.all()
		return entries[len(entries)-1].Event.Address == "192.0.2.7"
	})
}

// An event takes from its context what it does not say itself.
func TestOrigin(t *testing.T) {
	m := &memory{}
	l := newLog(t, audit.Config{Wait: time.Minute, Targets: []audit.Target{{Name: "m", Sink: m}}})
	o := &audit.Origin{Actor: audit.Actor{Type: audit.Anonymous}, Address: "192.0.2.1", UserAgent: "curl", RequestID: "r1"}
	ctx := audit.WithOrigin(t.Context(), o)
	o.Actor = audit.Actor{Type: audit.User, ID: "u1"}
	for _, ctx := range []context.Context{ctx, t.Context()} {
		if err := l.Record(ctx, audit.Event{Type: audit.Logout}); err != nil {
			t.Fatal(err)
		}
	}
	entries := m.all()
	if e := entries[0].Event; e.Actor != o.Actor || e.Address != "192.0.2.1" || e.UserAgent != "curl" || e.RequestID != "r1" {
		t.Errorf("with an origin: %+v", e)
	}
	if e := entries[1].Event; e.Actor.Type != audit.System || e.Address != "" {
		t.Errorf("without: %+v", e)
	}
}

func TestWriter(t *testing.T) {
	r, w := io.Pipe()
	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	kept, err := audit.NewWriter(w).Write(t.Context(), []audit.Entry{{Line: []byte("{}")}, {Line: []byte("[]")}})
	w.Close()
	if text := <-read; kept != 2 || err != nil || text != "{}\n[]\n" {
		t.Errorf("kept %d, %v, wrote %q", kept, err, text)
	}
	if kept, err := audit.NewWriter(w).Write(t.Context(), []audit.Entry{{Line: []byte("{}")}}); kept != 0 || err == nil {
		t.Errorf("kept %d, %v by a closed pipe", kept, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, targets := range [][]audit.Target{{{Name: "a"}}, {{Sink: &memory{}}}, {{Name: "a", Sink: &memory{}}, {Name: "a", Sink: &memory{}}}} {
		if _, err := audit.New(audit.Config{Targets: targets}); err == nil {
			t.Errorf("taken: %+v", targets)
		}
	}
}
