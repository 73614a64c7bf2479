package ssf

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/authd-project/authd/audit"
	"github.com/authd-project/authd/token"
)

// setType is the "typ" of a Security Event Token (RFC 8417 section 2.3).
const setType = "secevent+jwt"

// maxSET bounds a token in bytes.
const maxSET = 64 << 10

// Config is what a Transmitter is made of. Fields without a default are required.
type Config struct {
	Issuer    string
	PollURL   string // what a stream's ID is put behind
	Keys      token.SigningKeys
	Store     Store
	PushHosts []string // host, or host:port, where events may be pushed; none by default, as that makes authd send requests
	TLS       *tls.Config
	// Around returns what makes the requests, given what does by default; for traces. Default: that.
	Around func(http.RoundTripper) http.RoundTripper
	Now    func() time.Time
	Log    *slog.Logger
}

// Transmitter tells receivers what is in the audit log. Methods may be called concurrently. Only one transmitter may use a
// store at a time.
type Transmitter struct {
	cfg     Config
	profile token.Profile
	client  *http.Client

	mu      sync.Mutex
	streams map[string]Stream // as in the store
	changed chan struct{}     // closed, and made anew, when a stream or a queue has changed
}

// New returns a transmitter of the streams in the store. Events are pushed while [Transmitter.Run] runs.
func New(ctx context.Context, cfg Config) (*Transmitter, error) {
	if cfg.Issuer == "" || cfg.PollURL == "" || cfg.Keys == nil || cfg.Store == nil {
		return nil, errors.New("shared signals: Issuer, PollURL, Keys and Store are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	profile, err := token.NewProfile(setType, maxSET)
	if err != nil {
		return nil, fmt.Errorf("shared signals: %w", err)
	}
	streams, err := cfg.Store.Streams(ctx)
	if err != nil {
		return nil, fmt.Errorf("shared signals: reading the streams: %w", err)
	}
	var transport http.RoundTripper = &http.Transport{
		TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	if cfg.Around != nil {
		transport = cfg.Around(transport)
	}
	t := &Transmitter{
		cfg: cfg, profile: profile, streams: make(map[string]Stream), changed: make(chan struct{}),
		client: &http.Client{
			Timeout:       pushTimeout,
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, s := range streams {
		t.streams[s.ID] = s
	}
	return t, nil
}

// Write implements [audit.Sink]: events are kept once they are in the queues of all streams that want them.
func (t *Transmitter) Write(ctx context.Context, entries []audit.Entry) (kept int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	queues := make(map[string][]Claims)
	for _, entry := range entries {
		e, ok := fromAudit(t.cfg.Issuer, entry.Event)
		if !ok {
			continue
		}
		for _, s := range t.streams {
			if s.wants(e) {
				queues[s.ID] = append(queues[s.ID], t.claims(s, e.kind, entry.Event.ID, e.subject, e.members, entry.Event.RequestID))
			}
		}
	}
	if err := t.append(ctx, queues); err != nil {
		return 0, fmt.Errorf("shared signals: %w", err)
	}
	return len(entries), nil
}

func (t *Transmitter) claims(s Stream, kind, id string, subject SubjectID, members map[string]any, transaction string) Claims {
	return Claims{
		Issuer: t.cfg.Issuer, ID: id, IssuedAt: t.cfg.Now().Unix(), Audience: s.Client, Transaction: transaction, SubjectID: subject,
		Events: map[string]map[string]any{kind: members},
	}
}

// append adds events to queues. A stream whose queue is full is disabled, which is the last it hears. t.mu is held.
func (t *Transmitter) append(ctx context.Context, queues map[string][]Claims) error {
	if len(queues) == 0 {
		return nil
	}
	lengths, err := t.cfg.Store.Append(ctx, queues)
	if err != nil {
		return fmt.Errorf("queueing events: %w", err)
	}
	for id, n := range lengths {
		s, known := t.streams[id]
		if !known || n < maxQueue || s.Status == Disabled {
			continue
		}
		t.cfg.Log.WarnContext(ctx, "a stream of shared signals is disabled, as its receiver takes no events", "stream", id, "client_id", s.Client)
		s.Status, s.Reason = Disabled, "the queue is full"
		if err := t.cfg.Store.Put(ctx, s); err != nil {
			return fmt.Errorf("disabling a stream: %w", err)
		}
		t.streams[id] = s
		last := t.claims(s, streamUpdated, newID(), opaque(s.ID), map[string]any{"status": s.Status, "reason": s.Reason}, "")
		if _, err := t.cfg.Store.Append(ctx, map[string][]Claims{id: {last}}); err != nil {
			return fmt.Errorf("telling that a stream is disabled: %w", err)
		}
	}
	t.announce()
	return nil
}

// announce wakes whoever waits for a change. t.mu is held.
func (t *Transmitter) announce() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Create makes a stream for a receiver. ID and Status of s are set here.
func (t *Transmitter) Create(ctx context.Context, client string, s Stream) (Stream, error) {
	s.ID, s.Client, s.Status, s.Reason, s.Removed = newID(), client, Enabled, "", nil
	t.mu.Lock()
	defer t.mu.Unlock()
	have := 0
	for _, other := range t.streams {
		if other.Client == client {
			have++
		}
	}
	if have >= maxStreams {
		return Stream{}, ErrTooMany
	}
	return t.put(ctx, s)
}

// put stores a stream. t.mu is held.
func (t *Transmitter) put(ctx context.Context, s Stream) (Stream, error) {
	if s.Delivery.Method == "" { // SSF section 8.1.1.1
		s.Delivery = Delivery{Method: Poll}
	}
	if err := s.validate(t.cfg.PushHosts); err != nil {
		return Stream{}, err
	}
	if s.Delivery.Method == Poll {
		s.Delivery = Delivery{Method: Poll, URL: t.cfg.PollURL + s.ID}
	}
	if err := t.cfg.Store.Put(ctx, s); err != nil {
		return Stream{}, fmt.Errorf("storing a stream: %w", err)
	}
	t.streams[s.ID] = s
	t.announce()
	return s, nil
}

// List returns the streams of a receiver.
func (t *Transmitter) List(client string) []Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []Stream{}
	for _, s := range t.streams {
		if s.Client == client {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b Stream) int { return compare(a.ID, b.ID) })
	return list
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Get returns a stream of a receiver.
func (t *Transmitter) Get(client, id string) (Stream, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.get(client, id)
}

func (t *Transmitter) get(client, id string) (Stream, error) {
	s, known := t.streams[id]
	if !known || s.Client != client {
		return Stream{}, ErrNotFound
	}
	return s, nil
}

// Change changes a stream of a receiver. What change does to ID and Client does not count.
func (t *Transmitter) Change(ctx context.Context, client, id string, change func(*Stream) error) (Stream, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.get(client, id)
	if err != nil {
		return Stream{}, err
	}
	s.Removed = slices.Clone(s.Removed)
	if err := change(&s); err != nil {
		return Stream{}, err
	}
	s.ID, s.Client = id, client
	return t.put(ctx, s)
}

// SetStatus changes whether the receiver is told.
func (t *Transmitter) SetStatus(ctx context.Context, client, id string, status Status, reason string) (Stream, error) {
	if status != Enabled && status != Paused && status != Disabled || len(reason) > maxText {
		return Stream{}, fmt.Errorf("%w: status: want enabled, paused or disabled, and a short reason", ErrInvalid)
	}
	return t.Change(ctx, client, id, func(s *Stream) error {
		s.Status, s.Reason = status, reason
		return nil
	})
}

// Leave leaves a subject out of a stream, or takes it in again. At first nobody is left out.
func (t *Transmitter) Leave(ctx context.Context, client, id string, subject SubjectID, out bool) error {
	_, err := t.Change(ctx, client, id, func(s *Stream) error {
		sub, err := subjectOf(t.cfg.Issuer, subject)
		if err != nil {
			return err
		}
		at := slices.Index(s.Removed, sub)
		switch {
		case out && at < 0 && len(s.Removed) >= maxRemoved:
			return fmt.Errorf("%w: subject: no more can be left out", ErrInvalid)
		case out && at < 0:
			s.Removed = append(s.Removed, sub)
		case !out && at >= 0:
			s.Removed = slices.Delete(s.Removed, at, at+1)
		}
		return nil
	})
	return err
}

// Verify sends a verification event with the receiver's state.
func (t *Transmitter) Verify(ctx context.Context, client, id, state string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, err := t.get(client, id)
	switch {
	case err != nil:
		return err
	case len(state) > maxState:
		return fmt.Errorf("%w: state: longer than %d bytes", ErrInvalid, maxState)
	case s.Status == Disabled:
		return fmt.Errorf("%w: it is disabled", ErrInvalid)
	}
	members := map[string]any{}
	if state != "" {
		members["state"] = state
	}
	return t.append(ctx, map[string][]Claims{id: {t.claims(s, verification, newID(), opaque(id), members, "")}})
}

// Delete deletes a stream and what waits in it.
func (t *Transmitter) Delete(ctx context.Context, client, id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.get(client, id); err != nil {
		return err
	}
	if err := t.cfg.Store.Delete(ctx, id); err != nil {
		return fmt.Errorf("deleting a stream: %w", err)
	}
	delete(t.streams, id)
	t.announce()
	return nil
}

// sign makes the token of an event, with the key that signs now.
func (t *Transmitter) sign(ctx context.Context, c Claims) (string, error) {
	set, err := t.profile.Sign(ctx, t.cfg.Keys, c)
	if err != nil {
		return "", fmt.Errorf("signing an event: %w", err)
	}
	return set, nil
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}
