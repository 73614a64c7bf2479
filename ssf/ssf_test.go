package ssf_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/ssf"
	"github.com/authd-project/authd/ssf/boltstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	issuer = "https://auth.example.com"
	client = "receiver"
)

// signer is the one key of a test.
type signer struct{ key *ecdsa.PrivateKey }

func (s signer) SigningKey(context.Context) (kid, alg string, key crypto.Signer, err error) {
	return "k1", "ES256", s.key, nil
}

// fixture is a transmitter on a file.
type fixture struct {
	*ssf.Transmitter
	t    *testing.T
	path string
	key  signer
	file *boltfile.File
	host string // where events may be pushed
	stop func()
}

func start(t *testing.T, host string) *fixture {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	f := &fixture{t: t, path: filepath.Join(t.TempDir(), "authd.db"), key: signer{key}, host: host}
	f.open()
	t.Cleanup(func() { f.stop() })
	return f
}

// open opens the file and runs the transmitter, as at a start of authd.
func (f *fixture) open() {
	f.t.Helper()
	var err error
	f.file, err = boltfile.Open(f.path)
	must(f.t, err)
	store, err := boltstore.Open(f.file)
	must(f.t, err)
	f.Transmitter, err = ssf.New(f.t.Context(), ssf.Config{
		Issuer: issuer, PollURL: issuer + "/v1/ssf/poll/", Keys: f.key, Store: store, PushHosts: []string{f.host},
	})
	must(f.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = f.Run(ctx) })
	f.stop = func() {
		cancel()
		running.Wait()
		must(f.t, f.file.Close())
	}
}

func (f *fixture) restart() {
	f.stop()
	f.open()
}

func (f *fixture) create(s ssf.Stream) ssf.Stream {
	f.t.Helper()
	if s.Requested == nil {
		s.Requested = ssf.Supported()
	}
	s, err := f.Create(f.t.Context(), client, s)
	must(f.t, err)
	return s
}

// record gives events to the transmitter as the audit log does.
func (f *fixture) record(events ...audit.Event) {
	f.t.Helper()
	var entries []audit.Entry
	for _, e := range events {
		if e.ID == "" {
			e.ID = fmt.Sprint("id-", e.SessionID, e.Subject, e.Type)
		}
		if e.Outcome == "" {
			e.Outcome = audit.Success
		}
		e.Time = time.Unix(1_700_000_000, 0)
		entries = append(entries, audit.Entry{Event: e})
	}
	kept, err := f.Write(f.t.Context(), entries)
	if kept != len(entries) || err != nil {
		f.t.Fatalf("kept %d of %d: %v", kept, len(entries), err)
	}
}

// read verifies a token with a library that knows nothing of authd, and holds it against the profile.
func (f *fixture) read(raw string) ssf.Claims {
	f.t.Helper()
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	must(f.t, err)
	payload, err := jws.Verify(f.key.key.Public())
	must(f.t, err)
	if h := jws.Signatures[0].Protected; h.ExtraHeaders["typ"] != "secevent+jwt" || h.KeyID != "k1" {
		f.t.Errorf("header %+v", h)
	}
	var c ssf.Claims
	must(f.t, json.Unmarshal(payload, &c))
	var members map[string]any
	must(f.t, json.Unmarshal(payload, &members))
	if members["exp"] != nil || members["sub"] != nil || c.Issuer != issuer || c.Audience != client || c.ID == "" || len(c.Events) != 1 || c.SubjectID == nil {
		f.t.Errorf("claims %s", payload)
	}
	return c
}

// poll acknowledges and returns what comes, by the last part of its type and the subject.
func (f *fixture) poll(stream string, r ssf.PollRequest) (got []string, ids []string) {
	f.t.Helper()
	answer, err := f.Poll(f.t.Context(), client, stream, r, 10*time.Second)
	must(f.t, err)
	for jti, raw := range answer.SETs {
		c := f.read(raw)
		if c.ID != jti {
			f.t.Errorf("event %s under %s", c.ID, jti)
		}
		ids = append(ids, jti)
		got = append(got, describe(c))
	}
	slices.Sort(got)
	return got, ids
}

func describe(c ssf.Claims) string {
	for kind, members := range c.Events {
		delete(members, "event_timestamp")
		m, _ := json.Marshal(members)
		s, _ := json.Marshal(c.SubjectID)
		return kind[strings.LastIndexByte(kind, '/')+1:] + " " + string(m) + " " + string(s)
	}
	return ""
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ended(sid string) audit.Event {
	return audit.Event{Type: audit.SessionEnded, Reason: "user", Subject: "u1", SessionID: sid, Actor: audit.Actor{Type: audit.User, ID: "u1"}}
}

// Each event of the audit log that others should know becomes the one event that says so, and no other does.
func TestWhatIsTold(t *testing.T) {
	f := start(t, "")
	s := f.create(ssf.Stream{})
	admin := audit.Actor{Type: audit.Admin}
	f.record(
		ended("s1"),
		audit.Event{Type: audit.SessionEnded, Reason: "reuse", Subject: "u1", SessionID: "s2", Actor: audit.Actor{Type: audit.Anonymous}},
		audit.Event{Type: audit.SubjectRevoked, Subject: "u2", Actor: admin},
		audit.Event{Type: audit.ClientRevoked, Actor: admin, Details: map[string]string{"client_id": "shop"}},
		audit.Event{Type: audit.EverythingRevoked, Actor: admin},
		audit.Event{Type: audit.PasswordChanged, Subject: "u3", Actor: admin},
		audit.Event{Type: audit.FactorAdded, Subject: "u4", Actor: audit.Actor{Type: audit.User}, Details: map[string]string{"kind": "passkey"}},
		audit.Event{Type: audit.FactorRemoved, Subject: "u4", Actor: audit.Actor{Type: audit.User}},
		audit.Event{Type: audit.UserDisabled, Subject: "u5", Actor: admin},
		audit.Event{Type: audit.UserEnabled, Subject: "u5", Actor: admin},
		audit.Event{Type: audit.UserRemoved, Subject: "u5", Actor: admin},
		// and these are not told
		audit.Event{Type: audit.Login, Subject: "u1"},
		audit.Event{Type: audit.Logout, Subject: "u1"},
		audit.Event{Type: audit.UserDisabled, Subject: "u6", Outcome: audit.Failure},
		audit.Event{Type: audit.UserDisabled, Actor: admin},
	)
	got, _ := f.poll(s.ID, ssf.PollRequest{})
	iss := `{"format":"iss_sub","iss":"https://auth.example.com","sub":"`
	want := []string{
		`account-disabled {"initiating_entity":"admin"} ` + iss + `u5"}`,
		`account-enabled {"initiating_entity":"admin"} ` + iss + `u5"}`,
		`account-purged {"initiating_entity":"admin"} ` + iss + `u5"}`,
		`credential-change {"change_type":"create","credential_type":"fido2-roaming","initiating_entity":"user"} ` + iss + `u4"}`,
		`credential-change {"change_type":"delete","credential_type":"app","initiating_entity":"user"} ` + iss + `u4"}`,
		`credential-change {"change_type":"update","credential_type":"password","initiating_entity":"admin"} ` + iss + `u3"}`,
		`session-revoked {"initiating_entity":"admin"} {"application":{"format":"opaque","id":"shop"},"format":"complex"}`,
		`session-revoked {"initiating_entity":"admin"} {"format":"complex","tenant":{"format":"opaque","id":"https://auth.example.com"}}`,
		`session-revoked {"initiating_entity":"admin"} ` + iss + `u2"}`,
		`session-revoked {"initiating_entity":"policy"} {"format":"complex","session":{"format":"opaque","id":"s2"},"user":` + iss + `u1"}}`,
		`session-revoked {"initiating_entity":"user"} {"format":"complex","session":{"format":"opaque","id":"s1"},"user":` + iss + `u1"}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What is polled comes again until it is acknowledged, also after a restart; a poll waits for what is to come.
func TestPoll(t *testing.T) {
	f := start(t, "")
	s := f.create(ssf.Stream{Requested: []string{ssf.SessionRevoked, "https://example.com/unknown"}})
	if s.Delivery.Method != ssf.Poll || s.Delivery.URL != issuer+"/v1/ssf/poll/"+s.ID || !slices.Equal(s.Delivered(), []string{ssf.SessionRevoked}) {
		t.Errorf("stream %+v", s)
	}
	if got, _ := f.poll(s.ID, ssf.PollRequest{ReturnImmediately: true}); len(got) != 0 {
		t.Errorf("got %v from an empty stream", got)
	}
	f.record(ended("a"), ended("b"), ended("c"), audit.Event{Type: audit.PasswordChanged, Subject: "u1"})
	f.record(ended("a")) // once more, as after a crash of the log
	two := 2
	first, ids := f.poll(s.ID, ssf.PollRequest{MaxEvents: &two})
	if len(first) != 2 {
		t.Fatalf("got %v", first)
	}
	f.restart()
	if again, _ := f.poll(s.ID, ssf.PollRequest{MaxEvents: &two}); !slices.Equal(again, first) {
		t.Errorf("after a restart %v, before %v", again, first)
	}
	rest, last := f.poll(s.ID, ssf.PollRequest{Ack: ids})
	if len(rest) != 1 || !strings.Contains(rest[0], `"c"`) {
		t.Errorf("after the acknowledgement %v", rest)
	}
	zero := 0
	if got, _ := f.poll(s.ID, ssf.PollRequest{MaxEvents: &zero, Errors: map[string]ssf.SETError{last[0]: {Code: "invalid_key"}}}); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	var later sync.WaitGroup
	later.Go(func() {
		time.Sleep(10 * time.Millisecond)
		f.record(ended("d"))
	})
	if got, _ := f.poll(s.ID, ssf.PollRequest{}); len(got) != 1 || !strings.Contains(got[0], `"d"`) {
		t.Errorf("the poll that waited got %v", got)
	}
	later.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, ids = f.poll(s.ID, ssf.PollRequest{})
	if answer, err := f.Poll(ctx, client, s.ID, ssf.PollRequest{Ack: ids, ReturnImmediately: true}, time.Hour); err == nil && len(answer.SETs) > 0 {
		t.Errorf("with an ended context: %v, %v", answer, err)
	}
}

// receiver takes pushed events.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int // what the next requests are answered; 202 when empty
	sets    []string
	headers []http.Header
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.answers) > 0 {
			status := r.answers[0]
			r.answers = r.answers[1:]
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			if status == http.StatusBadRequest {
				_, _ = io.WriteString(w, `{"err":"invalid_audience","description":"not me"}`)
			}
			return
		}
		r.sets, r.headers = append(r.sets, string(body)), append(r.headers, req.Header)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) host() string {
	u, _ := url.Parse(r.URL)
	return u.Host
}

func (r *receiver) await(t *testing.T, n int) []string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		sets := slices.Clone(r.sets)
		r.mu.Unlock()
		if len(sets) >= n {
			return sets
		}
		if time.Now().After(end) {
			t.Fatalf("%d events of %d within a minute", len(sets), n)
		}
	}
}

// Events are pushed in order, again after a failure, once after a success, and not again after the receiver has refused one.
func TestPush(t *testing.T) {
	r := newReceiver(t)
	f := start(t, r.host())
	s := f.create(ssf.Stream{Delivery: ssf.Delivery{Method: ssf.Push, URL: r.URL + "/events", Authorization: "Bearer of the receiver"}})
	r.mu.Lock()
	r.answers = []int{503, 302, 400} // the third is about the first event, which goes
	r.mu.Unlock()
	f.record(ended("a"), ended("b"))
	f.record(ended("c"))
	for i, raw := range r.await(t, 2) {
		if c := f.read(raw); !strings.Contains(describe(c), []string{`"b"`, `"c"`}[i]) {
			t.Errorf("event %d is %s", i, describe(c))
		}
	}
	r.mu.Lock()
	h := r.headers[0]
	r.mu.Unlock()
	if h.Get("Content-Type") != "application/secevent+jwt" || h.Get("Authorization") != "Bearer of the receiver" || h.Get("Accept") != "application/json" {
		t.Errorf("headers %v", h)
	}
	if _, err := f.Poll(t.Context(), client, s.ID, ssf.PollRequest{ReturnImmediately: true}, 0); !errors.Is(err, ssf.ErrInvalid) {
		t.Errorf("a poll of what is pushed: %v", err)
	}
	must(t, f.Verify(t.Context(), client, s.ID, "my state"))
	c := f.read(r.await(t, 3)[2])
	if got := describe(c); got != `verification {"state":"my state"} {"format":"opaque","id":"`+s.ID+`"}` {
		t.Errorf("verified by %s", got)
	}
}

// What happened while authd was down, or the receiver was, is pushed after the start.
func TestPushAfterRestart(t *testing.T) {
	r := newReceiver(t)
	f := start(t, r.host())
	f.create(ssf.Stream{Delivery: ssf.Delivery{Method: ssf.Push, URL: r.URL}})
	r.mu.Lock()
	r.answers = slices.Repeat([]int{503}, 1000)
	r.mu.Unlock()
	f.record(ended("a"))
	f.restart()
	r.mu.Lock()
	r.answers = nil
	r.mu.Unlock()
	r.await(t, 1)
}

func TestStatus(t *testing.T) {
	f := start(t, "")
	s := f.create(ssf.Stream{})
	set := func(status ssf.Status) {
		t.Helper()
		_, err := f.SetStatus(t.Context(), client, s.ID, status, "a reason")
		must(t, err)
	}
	set(ssf.Paused)
	f.record(ended("held"))
	if got, _ := f.poll(s.ID, ssf.PollRequest{ReturnImmediately: true}); len(got) != 0 {
		t.Errorf("a paused stream has %v", got)
	}
	set(ssf.Disabled)
	f.record(ended("left out"))
	set(ssf.Enabled)
	f.record(ended("told"))
	got, _ := f.poll(s.ID, ssf.PollRequest{ReturnImmediately: true})
	if len(got) != 2 || strings.Contains(fmt.Sprint(got), "left out") {
		t.Errorf("got %v", got)
	}
	if _, err := f.SetStatus(t.Context(), client, s.ID, "other", ""); !errors.Is(err, ssf.ErrInvalid) {
		t.Errorf("an unknown status: %v", err)
	}
}

func TestSubjects(t *testing.T) {
	f := start(t, "")
	s := f.create(ssf.Stream{})
	u1 := ssf.SubjectID{"format": "iss_sub", "iss": issuer, "sub": "u1"}
	must(t, f.Leave(t.Context(), client, s.ID, u1, true))
	must(t, f.Leave(t.Context(), client, s.ID, u1, true))
	f.restart()
	f.record(ended("a"), audit.Event{Type: audit.SubjectRevoked, Subject: "u2"}, audit.Event{Type: audit.EverythingRevoked})
	if got, _ := f.poll(s.ID, ssf.PollRequest{}); len(got) != 2 {
		t.Errorf("without u1: %v", got)
	}
	must(t, f.Leave(t.Context(), client, s.ID, u1, false))
	f.record(ended("b"))
	if got, _ := f.poll(s.ID, ssf.PollRequest{}); len(got) != 3 {
		t.Errorf("with u1 again: %v", got)
	}
	for _, id := range []ssf.SubjectID{{}, {"format": "email", "email": "a@example.com"}, {"format": "iss_sub", "iss": "https://other.example", "sub": "u1"}, {"format": "iss_sub", "iss": issuer, "sub": 7}} {
		if err := f.Leave(t.Context(), client, s.ID, id, true); !errors.Is(err, ssf.ErrInvalid) {
			t.Errorf("%v: %v", id, err)
		}
	}
}

// Nobody sees or changes the streams of another receiver, and nobody makes authd send requests where it should not.
func TestStreamsAreTheirReceivers(t *testing.T) {
	f := start(t, "receiver.example.com")
	s := f.create(ssf.Stream{})
	ctx := t.Context()
	for name, err := range map[string]error{
		"get": func() error { _, err := f.Get("other", s.ID); return err }(),
		"change": func() error {
			_, err := f.Change(ctx, "other", s.ID, func(*ssf.Stream) error { return nil })
			return err
		}(),
		"verify": f.Verify(ctx, "other", s.ID, ""),
		"leave":  f.Leave(ctx, "other", s.ID, nil, true),
		"delete": f.Delete(ctx, "other", s.ID),
		"poll":   func() error { _, err := f.Poll(ctx, "other", s.ID, ssf.PollRequest{}, 0); return err }(),
	} {
		if !errors.Is(err, ssf.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(f.List("other")) != 0 || len(f.List(client)) != 1 {
		t.Errorf("lists %v and %v", f.List("other"), f.List(client))
	}
	for to, good := range map[string]bool{
		"https://receiver.example.com/events": true, "http://receiver.example.com/events": false, "https://127.0.0.1/": false, "https://other.example.com/": false,
		"https://receiver.example.com:8443/": false, "https://user@receiver.example.com/": false, "": false, "https://receiver.example.com.evil.example/": false,
	} {
		_, err := f.Change(ctx, client, s.ID, func(s *ssf.Stream) error { s.Delivery = ssf.Delivery{Method: ssf.Push, URL: to}; return nil })
		if (err == nil) != good || err != nil && !errors.Is(err, ssf.ErrInvalid) {
			t.Errorf("push to %q: %v", to, err)
		}
	}
	_, err := f.Change(ctx, client, s.ID, func(s *ssf.Stream) error {
		s.Delivery = ssf.Delivery{Method: ssf.Push, URL: "https://receiver.example.com/", Authorization: "a\r\nX: y"}
		return nil
	})
	if !errors.Is(err, ssf.ErrInvalid) {
		t.Errorf("a header with a line break: %v", err)
	}
	for range 9 {
		f.create(ssf.Stream{})
	}
	if _, err := f.Create(ctx, client, ssf.Stream{}); !errors.Is(err, ssf.ErrTooMany) {
		t.Errorf("the eleventh stream: %v", err)
	}
	must(t, f.Delete(ctx, client, s.ID))
	f.restart()
	if n := len(f.List(client)); n != 9 {
		t.Errorf("%d streams after a restart", n)
	}
}

// A queue that nobody empties ends: the stream is disabled, and says so last.
func TestFullQueue(t *testing.T) {
	f := start(t, "")
	s := f.create(ssf.Stream{})
	for i := range 101 {
		events := make([]audit.Event, 100)
		for n := range events {
			events[n] = ended(fmt.Sprint(i, "-", n))
		}
		f.record(events...)
	}
	now, err := f.Get(client, s.ID)
	must(t, err)
	if now.Status != ssf.Disabled || now.Reason == "" {
		t.Errorf("stream %+v", now)
	}
	total, last := 0, ""
	for {
		answer, err := f.Poll(t.Context(), client, s.ID, ssf.PollRequest{ReturnImmediately: true}, 0)
		must(t, err)
		if len(answer.SETs) == 0 {
			break
		}
		var ids []string
		for id, raw := range answer.SETs {
			ids = append(ids, id)
			if d := describe(f.read(raw)); strings.HasPrefix(d, "stream-updated") {
				last = d
			}
		}
		total += len(ids)
		zero := 0
		_, err = f.Poll(t.Context(), client, s.ID, ssf.PollRequest{Ack: ids, MaxEvents: &zero}, 0)
		must(t, err)
	}
	if total != 10001 || last != `stream-updated {"reason":"the queue is full","status":"disabled"} {"format":"opaque","id":"`+s.ID+`"}` {
		t.Errorf("%d events, the last %s", total, last)
	}
}
