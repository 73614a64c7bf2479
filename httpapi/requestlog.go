package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

// record logs and measures a finished exchange. What it logs is chosen by name: the route's template, never the path
// or the query; no header but the request's id; identifiers, never credentials.
func (s *site) record(x *exchange, took time.Duration) {
	status := x.Response().Status
	path, method, level := "unmatched", knownMethod(x.Request().Method), slog.LevelInfo
	if r := x.route; r.path != "" {
		path = r.path
		r.timing[min(status/100, 5)].Observe(took.Seconds())
		if r.quiet && status < http.StatusBadRequest {
			level = slog.LevelDebug
		}
	} else {
		s.metrics.timings(s.name, path, method)[min(status/100, 5)].Observe(took.Seconds())
	}
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	if x.span != nil {
		defer x.endSpan(status)
	}
	if !s.log.Enabled(x.ctx(), level) {
		return
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs,
		slog.String("listener", s.name),
		slog.String("method", method),
		slog.String("route", path),
		slog.Int("status", status),
		slog.Duration("took", took),
		slog.String("request_id", x.requestID),
		slog.String("address", x.RealIP()),
	)
	if x.subject != "" {
		attrs = append(attrs, slog.String("subject", x.subject))
	}
	if x.session != "" {
		attrs = append(attrs, slog.String("session", x.session))
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("err", x.err.Error()))
	}
	s.log.LogAttrs(x.ctx(), level, "request", attrs...)
}

// knownMethod keeps methods that nobody defined out of labels and logs.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return m
	}
	return "other"
}
