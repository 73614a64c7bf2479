package httpapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxBody bounds every request body, in bytes.
	maxBody = 64 << 10
	// requestTime bounds a request that changes something. The slowest is a login that queues for the password hash.
	requestTime = 15 * time.Second
)

// site is what both listeners are made of: routing, guards, errors, logging and measuring.
type site struct {
	name    string // "public" or "admin"
	echo    *echo.Echo
	guards  []guard
	log     *slog.Logger
	metrics *Metrics
	now     func() time.Time
	trusted []netip.Prefix
	audit   auditor
	tracing Tracing

	noStore, noSniff []string        // values of headers, shared by all answers
	shared           map[string]bool // paths whose answers any origin may read
}

type siteConfig struct {
	name    string
	log     *slog.Logger
	metrics *Metrics
	now     func() time.Time
	trusted []netip.Prefix
	audit   auditor
	tracing Tracing
}

func newSite(c siteConfig) (*site, error) {
	s := &site{
		name: c.name, echo: echo.New(), log: c.log, metrics: c.metrics, now: c.now, trusted: c.trusted, audit: c.audit, tracing: c.tracing,
		noStore: []string{"no-store"}, noSniff: []string{"nosniff"},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.metrics == nil {
		var err error
		if s.metrics, err = NewMetrics(prometheus.NewRegistry()); err != nil {
			return nil, err
		}
	}
	s.echo.Logger.SetOutput(io.Discard) // everything is logged through s.log
	s.echo.IPExtractor = clientAddress(c.trusted)
	s.echo.HTTPErrorHandler = s.unmatched
	crossOrigin := http.NewCrossOriginProtection()
	s.guards = []guard{
		oneAuthorization,
		func(x *exchange) error {
			if x.route.anyOrigin {
				return nil
			}
			return refuseCrossOrigin(x, crossOrigin)
		},
	}
	return s, nil
}

// serve makes echo's handler of a route. It answers everything itself, errors included.
func (s *site) serve(r *route) echo.HandlerFunc {
	return func(c echo.Context) error {
		s.answer(c, r)
		return nil
	}
}

// unmatched answers what has no route. echo comes here with its error, as no handler of ours returns one.
func (s *site) unmatched(err error, c echo.Context) {
	s.answer(c, &route{handle: func(*exchange) error { return err }})
}

// options lets echo answer with the methods that a path has, which it would do without coming back here.
func (s *site) options(w http.ResponseWriter, r *http.Request) {
	c := s.echo.NewContext(r, w)
	s.echo.Router().Find(r.Method, echo.GetPath(r), c)
	s.answer(c, &route{handle: func(x *exchange) error { return c.Handler()(x) }})
}

// answer is the way of every request: it is named, answered, logged and measured once, whatever happens.
func (s *site) answer(c echo.Context, r *route) {
	start := s.now()
	x := &exchange{Context: c, route: r, requestID: s.requestID(c.Request())}
	// Assigned, as Set would make the names canonical, which they are, for every single request.
	h := x.header()
	h[echo.HeaderXRequestID] = []string{x.requestID}
	h[echo.HeaderCacheControl] = s.noStore // unless the handler knows better
	h[echo.HeaderXContentTypeOptions] = s.noSniff
	if s.shared != nil {
		s.share(x)
	}
	if s.tracing.Tracer != nil && !r.probe {
		s.tracing.begin(s, x)
	}
	if err := s.recovered(x); err != nil {
		s.fail(x, r.spelt(err))
	}
	s.record(x, s.now().Sub(start))
}

// recovered turns a panic of a handler into an error, so that the process lives. The value of a panic may hold
// anything, a secret included: only the runtime's own are shown.
func (s *site) recovered(x *exchange) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("panic: %w\n%s", p, debug.Stack())
		case error:
			if errors.Is(p, http.ErrAbortHandler) {
				panic(p)
			}
			err = fmt.Errorf("panic with a %T\n%s", p, debug.Stack())
		default:
			err = fmt.Errorf("panic with a %T\n%s", p, debug.Stack())
		}
	}()
	return s.handle(x)
}

// handle bounds a request and hands it to its handler, if the guards let it pass.
func (s *site) handle(x *exchange) error {
	for _, g := range s.guards {
		if err := g(x); err != nil {
			return err
		}
	}
	if l := x.route.limited; l != nil {
		if err := l.admit(x); err != nil {
			return err
		}
	}
	if r := x.Request(); r.ContentLength < 0 || r.ContentLength > maxBody { // otherwise the length is a bound by itself
		r.Body = http.MaxBytesReader(x.Response(), r.Body, maxBody)
	}
	if x.route.changes {
		defer x.limitTime(requestTime, true)()
	}
	s.audit.begin(x)
	return x.route.handle(x)
}
