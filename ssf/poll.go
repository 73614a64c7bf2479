package ssf

import (
	"context"
	"fmt"
	"time"
)

// PollRequest is what a receiver asks (RFC 8936 section 2.2).
type PollRequest struct {
	MaxEvents         *int                `json:"maxEvents"` // none means as many as fit; 0 only acknowledges
	ReturnImmediately bool                `json:"returnImmediately"`
	Ack               []string            `json:"ack"`
	Errors            map[string]SETError `json:"setErrs"`
}

// SETError says why a receiver cannot use an event.
type SETError struct {
	Code        string `json:"err"`
	Description string `json:"description"`
}

// PollAnswer is what it gets.
type PollAnswer struct {
	SETs map[string]string `json:"sets"` // by "jti"
	More bool              `json:"moreAvailable,omitempty"`
}

// maxPoll is how many events one answer has at most.
const maxPoll = 100

// Poll acknowledges events and returns those that are next. If there are none it waits for some until ctx ends, or for wait,
// unless the receiver wants an answer at once. Events that are not acknowledged come again.
func (t *Transmitter) Poll(ctx context.Context, client, id string, r PollRequest, wait time.Duration) (PollAnswer, error) {
	s, err := t.Get(client, id)
	switch {
	case err != nil:
		return PollAnswer{}, err
	case s.Delivery.Method != Poll:
		return PollAnswer{}, fmt.Errorf("%w: its events are pushed", ErrInvalid)
	case r.MaxEvents != nil && *r.MaxEvents < 0:
		return PollAnswer{}, fmt.Errorf("%w: maxEvents: must not be negative", ErrInvalid)
	}
	if err := t.acknowledge(ctx, s, r); err != nil {
		return PollAnswer{}, err
	}
	most := maxPoll
	if r.MaxEvents != nil {
		most = min(most, *r.MaxEvents)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		t.mu.Lock()
		changed := t.changed
		s, err := t.get(client, id)
		t.mu.Unlock()
		if err != nil {
			return PollAnswer{}, err
		}
		answer, err := t.next(ctx, s, most)
		if err != nil || len(answer.SETs) > 0 || r.ReturnImmediately || most == 0 {
			return answer, err
		}
		select {
		case <-changed:
		case <-timer.C:
			return answer, nil
		case <-ctx.Done():
			return answer, nil
		}
	}
}

func (t *Transmitter) acknowledge(ctx context.Context, s Stream, r PollRequest) error {
	ids := r.Ack
	for id, e := range r.Errors {
		t.cfg.Log.WarnContext(ctx, "a receiver cannot use an event of shared signals", "client_id", s.Client, "jti", clip(id), "err", clip(e.Code),
			"description", clip(e.Description))
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	if err := t.cfg.Store.Remove(ctx, s.ID, ids...); err != nil {
		return fmt.Errorf("acknowledging events: %w", err)
	}
	return nil
}

// next returns the tokens of the oldest events. A stream that is paused has none; one that is disabled still has its last.
func (t *Transmitter) next(ctx context.Context, s Stream, most int) (PollAnswer, error) {
	answer := PollAnswer{SETs: map[string]string{}}
	if s.Status == Paused {
		return answer, nil
	}
	events, more, err := t.cfg.Store.Oldest(ctx, s.ID, most)
	if err != nil {
		return answer, fmt.Errorf("reading events: %w", err)
	}
	answer.More = more
	for _, c := range events {
		if answer.SETs[c.ID], err = t.sign(ctx, c); err != nil {
			return PollAnswer{}, err
		}
	}
	return answer, nil
}

// clip bounds what a receiver can write into the log.
func clip(s string) string { return s[:min(len(s), maxText)] }
