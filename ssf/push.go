package ssf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	pushTimeout   = 10 * time.Second
	shortestPause = 500 * time.Millisecond
	longestPause  = time.Minute
)

// errRejected means that the receiver cannot use an event, and would not if it came again.
var errRejected = errors.New("the receiver cannot use it")

// Run pushes events until ctx ends, each stream for itself, so that a receiver that is slow holds up no other. It returns nil.
func (t *Transmitter) Run(ctx context.Context) error {
	var pushing sync.WaitGroup
	defer t.client.CloseIdleConnections()
	defer pushing.Wait()
	running := make(map[string]context.CancelFunc)
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for {
		t.mu.Lock()
		changed := t.changed
		for id, stop := range running {
			if _, known := t.streams[id]; !known {
				stop()
				delete(running, id)
			}
		}
		for id := range t.streams {
			if running[id] == nil {
				own, stop := context.WithCancel(ctx)
				running[id] = stop
				pushing.Go(func() { t.pushAll(own, id) })
			}
		}
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// pushAll pushes the events of a stream, one after the other, while they are to be pushed.
func (t *Transmitter) pushAll(ctx context.Context, id string) {
	for failures := 0; ctx.Err() == nil; {
		t.mu.Lock()
		changed := t.changed
		s, known := t.streams[id]
		t.mu.Unlock()
		if !known {
			return
		}
		pushed, err := t.pushNext(ctx, s)
		switch {
		case err == nil && pushed:
			failures = 0
		case err == nil:
			failures = 0
			wait(ctx, changed, nil)
		default:
			if failures++; failures == 1 && ctx.Err() == nil {
				t.cfg.Log.WarnContext(ctx, "a receiver does not take events of shared signals, trying again", "client_id", s.Client, "err", err)
			}
			pause := min(shortestPause<<min(failures-1, 10), longestPause)
			wait(ctx, nil, time.After(pause/2+rand.N(pause)))
		}
	}
}

func wait(ctx context.Context, changed <-chan struct{}, timer <-chan time.Time) {
	select {
	case <-changed:
	case <-timer:
	case <-ctx.Done():
	}
}

// pushNext pushes the oldest event of a stream, if there is one to be pushed.
func (t *Transmitter) pushNext(ctx context.Context, s Stream) (pushed bool, err error) {
	if s.Delivery.Method != Push || s.Status == Paused {
		return false, nil
	}
	events, _, err := t.cfg.Store.Oldest(ctx, s.ID, 1)
	if err != nil || len(events) == 0 {
		return false, err
	}
	err = t.push(ctx, s, events[0])
	if errors.Is(err, errRejected) {
		t.cfg.Log.WarnContext(ctx, "a receiver cannot use an event of shared signals", "client_id", s.Client, "jti", events[0].ID, "err", err)
		err = nil
	}
	if err != nil {
		return false, err
	}
	return true, t.cfg.Store.Remove(ctx, s.ID, events[0].ID)
}

// push sends one event (RFC 8935 section 2).
func (t *Transmitter) push(ctx context.Context, s Stream, c Claims) error {
	set, err := t.sign(ctx, c)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Delivery.URL, strings.NewReader(set))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/secevent+jwt")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "authd")
	if s.Delivery.Authorization != "" {
		req.Header.Set("Authorization", s.Delivery.Authorization)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxText))
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return nil
	case resp.StatusCode == http.StatusBadRequest && strings.Contains(string(text), `"err"`):
		return fmt.Errorf("%w: %q", errRejected, text)
	}
	return fmt.Errorf("answered %d", resp.StatusCode)
}
