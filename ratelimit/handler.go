package ratelimit

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// HandlerConfig configures [NewHandler].
type HandlerConfig struct {
	Name    string                     // of the limit, in the RateLimit fields and problem details; see CheckName
	Limiter Limiter                    // required
	Key     func(*http.Request) string // whom the request counts against, such as an address or a subject; required
	Log     *slog.Logger               // told why a limiter is unavailable; default none
}

// NewHandler returns next behind a limit; each request is one unit. Every answer carries the RateLimit fields. What the
// limit refuses is answered 429 with Retry-After, and what nobody can decide 503, both as problem details (RFC 9457).
// What a leaky bucket delays waits for its turn, at most Burst turns long.
func NewHandler(c HandlerConfig, next http.Handler) (http.Handler, error) {
	if err := CheckName(c.Name); err != nil {
		return nil, err
	}
	if c.Limiter == nil || c.Key == nil {
		return nil, errors.New("rate limit handler: Limiter and Key are required")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &handler{HandlerConfig: c, next: next}, nil
}

type handler struct {
	HandlerConfig
	next http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := h.Key(r)
	d, err := h.Limiter.Allow(r.Context(), key, 1)
	if err != nil {
		h.Log.ErrorContext(r.Context(), "rate limit not decided", "limit", h.Name, "err", err)
		SetRetryAfter(w.Header(), time.Second)
		problem(w, http.StatusServiceUnavailable, `{"title":"Service Unavailable","status":503}`)
		return
	}
	AddHeader(w.Header(), h.Name, h.Limiter.Policy(), d)
	if !d.Allowed {
		problem(w, http.StatusTooManyRequests, fmt.Sprintf(
			`{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",`+
				`"title":"Too Many Requests","status":429,"violated-policies":[%q]}`, h.Name))
		return
	}
	if err := d.Wait(r.Context()); err != nil {
		return // the client went away: nobody is there to be answered
	}
	h.next.ServeHTTP(w, r)
}

func problem(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that went away needs no answer
}
