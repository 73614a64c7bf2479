package backchannel_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/oauth/backchannel"
	"github.com/authd-project/authd/oauth/backchannel/boltoutbox"
	"github.com/authd-project/authd/session"
	"github.com/authd-project/authd/session/boltstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take on a busy machine.
const patience = time.Minute

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// clients are the URIs of clients by ID.
type clients map[string]string

func (c clients) LogoutURI(id string) string { return c[id] }
func (c clients) AnyLogoutURI() bool         { return len(c) > 0 }

// plainTokens says in clear what a logout token would.
type plainTokens struct{}

func (plainTokens) LogoutToken(_ context.Context, client, subject, sid string) (string, error) {
	return strings.Join([]string{client, subject, sid}, " "), nil
}

// clock is the real one, and some time on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// env is a sender on real stores.
type env struct {
	*testing.T
	path     string
	file     *boltfile.File
	stored   session.Store // as the backend is
	sessions session.Store // as the session service sees it
	outbox   *boltoutbox.Outbox
	sender   *backchannel.Sender
	clock    clock
	log      logBuffer
	looks    lookStore // through which the sender sees the sessions
	config   backchannel.Config
}

// lookStore counts the looks at live sessions.
type lookStore struct {
	session.Store
	live atomic.Int32
}

func (s *lookStore) Get(ctx context.Context, id session.ID, l session.Limits) (session.Session, error) {
	n, err := s.Store.Get(ctx, id, l)
	if err == nil {
		s.live.Add(1)
	}
	return n, err
}

// newEnv makes a sender that does not run yet, with pauses of milliseconds.
func newEnv(t *testing.T, c clients, change ...func(*backchannel.Config)) *env {
	t.Helper()
	e := &env{T: t, path: filepath.Join(t.TempDir(), "authd.db")}
	e.config = backchannel.Config{
		Clients: c, Tokens: plainTokens{}, FirstPause: time.Millisecond, LongestRest: 10 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(&e.log, nil)), Now: e.clock.Now,
	}
	for _, f := range change {
		f(&e.config)
	}
	e.open()
	t.Cleanup(func() {
		e.file.Close()
		if t.Failed() {
			t.Logf("log:\n%s", e.log.String())
		}
	})
	return e
}

func (e *env) open() {
	e.Helper()
	var err error
	if e.file, err = boltfile.Open(e.path); err != nil {
		e.Fatal(err)
	}
	if e.stored, err = boltstore.Open(e.file, boltstore.Options{}); err != nil {
		e.Fatal(err)
	}
	if e.outbox, err = boltoutbox.Open(e.Context(), e.file); err != nil {
		e.Fatal(err)
	}
	c := e.config
	e.looks.Store = e.stored
	c.Sessions = &e.looks
	if c.Outbox == nil {
		c.Outbox = e.outbox
	}
	if e.sender, err = backchannel.NewSender(c); err != nil {
		e.Fatal(err)
	}
	e.sessions = e.sender.Watch(e.stored)
}

// restart leaves everything as a process that is killed does, and starts anew.
func (e *env) restart() {
	e.Helper()
	if err := e.file.Close(); err != nil {
		e.Fatal(err)
	}
	e.open()
}

// run runs the sender until the test ends, or stop is called.
func (e *env) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.sender.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			e.Errorf("running the sender: %v", err)
		}
	})
	e.Cleanup(stop)
	return stop
}

// begin makes a session of a client.
func (e *env) begin(subject, client string) session.ID {
	e.Helper()
	var id session.ID
	rand.Read(id[:])
	n, err := e.sessions.Create(e.Context(), session.Session{ID: id, Subject: subject, ClientID: client, AuthTime: time.Now()})
	if err != nil {
		e.Fatal(err)
	}
	return n.ID
}

func (e *env) end(ids ...session.ID) {
	e.Helper()
	if err := e.sessions.End(e.Context(), ids...); err != nil {
		e.Fatal(err)
	}
}

// kept is how many notices the outbox holds.
func (e *env) kept() int {
	e.Helper()
	all, err := e.outbox.All(e.Context())
	if err != nil {
		e.Fatal(err)
	}
	return len(all)
}

// receiver is a client's endpoint. It answers as it is told, then 200.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int // what to answer first; 0 hangs until the sender gives up
	told    []string
	tries   int
	busy    int
	most    int // tries at once
	always  bool
}

// newReceiver answers these first; with always set, the last of them for ever.
func newReceiver(t *testing.T, answers ...int) *receiver {
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status := r.enter()
	defer r.leave()
	if req.Method != http.MethodPost || req.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		status = http.StatusTeapot
	}
	switch {
	case status == 0:
		_ = req.ParseForm() // the server notices that a client has hung up only once the body was read
		<-req.Context().Done()
		return
	case status >= 300 && status < 400:
		w.Header().Set("Location", r.URL+"/elsewhere")
	}
	r.mu.Lock()
	if status < 300 {
		r.told = append(r.told, req.PostFormValue("logout_token"))
	}
	r.mu.Unlock()
	w.WriteHeader(status)
}

func (r *receiver) enter() (status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	r.busy++
	r.most = max(r.most, r.busy)
	status = http.StatusOK
	if len(r.answers) > 0 {
		status = r.answers[0]
		if !r.always || len(r.answers) > 1 {
			r.answers = r.answers[1:]
		}
	}
	return status
}

func (r *receiver) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
}

func (r *receiver) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.told...)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var errDown = errors.New("down")
