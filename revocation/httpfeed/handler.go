package httpfeed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/authd-project/authd/revocation"
)

// HandlerConfig says what a handler serves, and to how many.
type HandlerConfig struct {
	// Feed is what is served: a [revocation.Mirror], which answers from memory, or any other feed. Required.
	Feed revocation.Feed
	// Context ends all streams when it ends; clients go on elsewhere from where they were. An http.Server's Shutdown
	// would wait for them otherwise. Default: streams end only with their requests.
	Context context.Context
	// MaxStreams is how many clients are served at once; more are answered 503. Default 10,000.
	MaxStreams int
	// WriteTimeout is how long a client may take to accept one event before it is disconnected. Default 10 s.
	WriteTimeout time.Duration
	// Report, if set, is told what each client says it holds, before the client is served; see [Holding]. It answers
	// within a second or so. After an error the client is answered 503: who is served is counted.
	Report func(ctx context.Context, r Report) error
	// ReportEvery is how often clients are asked to report, in whole seconds. A stream ends after twice as long, as what
	// was said at its beginning is too old then. Default 5 min.
	ReportEvery time.Duration

	Logger *slog.Logger     // default: discards
	Now    func() time.Time // default time.Now
}

type handler struct {
	cfg     HandlerConfig
	streams chan struct{} // holds a token for each client being served
	start   time.Time     // where the clock on the wire is zero
}

// NewHandler returns a handler for GET /v1/revocations. It serves other paths alike: mount it where the discovery
// document says.
func NewHandler(cfg HandlerConfig) http.Handler {
	if cfg.Context == nil {
		cfg.Context = context.Background()
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 10_000
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ReportEvery == 0 {
		cfg.ReportEvery = renewEvery
	}
	return &handler{cfg: cfg, streams: make(chan struct{}, cfg.MaxStreams), start: cfg.Now()}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := h.cfg.Now() // the server's clock when it handled the request; a later reading would promise too much
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		problem(w, http.StatusMethodNotAllowed, "")
		return
	}
	from, nonce, err := parseRequest(r)
	report, reportErr := parseReport(r, now)
	if err = errors.Join(err, reportErr); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "too many streams")
		return
	}
	if h.cfg.Context.Err() != nil {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusServiceUnavailable, "shutting down")
		return
	}
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if r.Method == http.MethodHead {
		return
	}
	if h.cfg.Report != nil {
		if err := h.cfg.Report(r.Context(), report); err != nil {
			h.cfg.Logger.Warn("the report of a client was not kept, so it is not served", "client", r.RemoteAddr, "err", err)
			header.Set("Retry-After", "1")
			problem(w, http.StatusServiceUnavailable, "the report was not kept")
			return
		}
		header.Set(reportHeader, strconv.Itoa(int(h.cfg.ReportEvery/time.Second)))
		ctx, cancel := context.WithTimeout(r.Context(), 2*h.cfg.ReportEvery)
		defer cancel()
		r = r.WithContext(ctx)
	}
	h.stream(w, r, from, appendNow(nil, h.millis(now)+1, nonce)) // rounded up: see millis
}

// parseRequest returns where the client wants to go on. An EventSource repeats the URL and adds the header, so the
// header is the later word.
func parseRequest(r *http.Request) (from revocation.Position, nonce string, err error) {
	query := r.URL.Query()
	after, name := query.Get("after"), "after"
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after, name = id, "Last-Event-ID"
	}
	if from, err = revocation.ParsePosition(after); err != nil {
		return from, "", fmt.Errorf("%s: %w", name, err)
	}
	if nonce = query.Get("nonce"); !validNonce(nonce) {
		return from, "", fmt.Errorf("nonce: want up to %d characters of base64url", maxNonce)
	}
	return from, nonce, nil
}

// stream writes the feed until the client leaves, is too slow, or the handler's context ends.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, from revocation.Position, first []byte) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.cfg.Context, cancel)()

	out := writer{control: http.NewResponseController(w), w: w, timeout: h.cfg.WriteTimeout}
	err := out.write(first)
	if err == nil {
		err = h.cfg.Feed.Follow(ctx, from, func(b revocation.Batch) error {
			first = appendBatch(first[:0], b, h.millis(b.AsOf), !b.AsOf.IsZero())
			return out.write(first)
		})
	}
	if ctx.Err() == nil {
		h.cfg.Logger.Info("revocation stream ended", "client", r.RemoteAddr, "err", err)
	}
}

// millis is t on the clock of the wire. Only differences mean anything; it may be negative.
func (h *handler) millis(t time.Time) int64 { return millis(t.Sub(h.start)) }

// writer sends each event at once and gives the client a bounded time to take it, so that a slow one costs neither
// memory nor, for long, a goroutine.
type writer struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

// write also lifts the server's own limit on the time of an answer, which a stream must outlive. (That on the time of a
// request does not apply once a request without a body has been read.)
func (w writer) write(b []byte) error {
	// The deadline is the kernel's business, not logic: it is not read from the configured clock.
	err := w.control.SetWriteDeadline(time.Now().Add(w.timeout))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("setting the write deadline: %w", err)
	}
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("writing to the client: %w", err)
	}
	if err := w.control.Flush(); err != nil {
		return fmt.Errorf("writing to the client: %w", err)
	}
	return nil
}

// problem answers with problem details (RFC 9457). detail is fixed text or names a parameter, never its value.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An error means that the client has left.
	_ = json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{http.StatusText(status), status, detail})
}
