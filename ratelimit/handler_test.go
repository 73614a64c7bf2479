package ratelimit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/ratelimit"
)

func served(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func newHandler(t *testing.T, l ratelimit.Limiter, log *slog.Logger) http.Handler {
	t.Helper()
	h, err := ratelimit.NewHandler(ratelimit.HandlerConfig{
		Name: "api", Limiter: l, Log: log,
		Key: func(r *http.Request) string { return r.Header.Get("X-Client") },
	}, http.HandlerFunc(served))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, client string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("X-Client", client)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestHandler(t *testing.T) {
	c := newClock()
	h := newHandler(t, newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 2/1m"), Now: c.Now}), nil)
	for _, want := range []string{`"api";r=1;t=60`, `"api";r=0;t=60`} {
		if r := get(t, h, "a"); r.StatusCode != http.StatusNoContent || r.Header.Get("RateLimit") != want {
			t.Errorf("%d, RateLimit %s, want 204 and %s", r.StatusCode, r.Header.Get("RateLimit"), want)
		}
	}
	c.Advance(10 * time.Second)
	r := get(t, h, "a")
	var problem struct {
		Type     string
		Status   int
		Violated []string `json:"violated-policies"`
	}
	if err := json.NewDecoder(r.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") != "50" ||
		r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d, %v, want 429 with Retry-After 50 and a problem", r.StatusCode, r.Header)
	}
	if problem.Status != r.StatusCode || len(problem.Violated) != 1 || problem.Violated[0] != "api" ||
		!strings.HasSuffix(problem.Type, "#quota-exceeded") {
		t.Errorf("problem %+v", problem)
	}
	if r := get(t, h, "b"); r.StatusCode != http.StatusNoContent {
		t.Errorf("another client: %d, want 204", r.StatusCode)
	}
}

// brokenLimiter is a limiter whose store is out of reach.
type brokenLimiter struct{ ratelimit.Limiter }

func (brokenLimiter) Allow(context.Context, string, int) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.Join(ratelimit.ErrUnavailable, errors.New("connection refused"))
}

func TestHandlerFailsClosed(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(t, brokenLimiter{}, slog.New(slog.NewTextHandler(&log, nil)))
	r := get(t, h, "a")
	if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("%d, %v, want 503 with Retry-After", r.StatusCode, r.Header)
	}
	if !strings.Contains(log.String(), "connection refused") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

func TestHandlerSpacesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "leaky-bucket 10/1s burst 2")}), nil)
		start := time.Now()
		for i := range 3 {
			go func() {
				if r := get(t, h, "a"); r.StatusCode != http.StatusNoContent {
					t.Errorf("request %d: %d", i, r.StatusCode)
				}
			}()
			synctest.Wait()
		}
		if r := get(t, h, "a"); r.StatusCode != http.StatusTooManyRequests {
			t.Errorf("one more than may wait: %d, want 429", r.StatusCode)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		time.Sleep(100 * time.Millisecond)
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
		r.Header.Set("X-Client", "a")
		h.ServeHTTP(w, r)
		if took := time.Since(start); took != 150*time.Millisecond {
			t.Errorf("a client that went away waited until %v, want 150ms", took)
		}
		if w.Code == http.StatusNoContent {
			t.Error("a client that went away was served")
		}
		time.Sleep(time.Second) // the first three are served
	})
}

func TestNewHandlerRefusesBadConfigurations(t *testing.T) {
	l := newMemory(t, ratelimit.MemoryConfig{Policy: policy(t, "fixed-window 1/1s")})
	key := func(*http.Request) string { return "" }
	for name, c := range map[string]ratelimit.HandlerConfig{
		"no name":    {Limiter: l, Key: key},
		"bad name":   {Name: `"`, Limiter: l, Key: key},
		"no limiter": {Name: "api", Key: key},
		"no key":     {Name: "api", Limiter: l},
	} {
		if _, err := ratelimit.NewHandler(c, http.NotFoundHandler()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
