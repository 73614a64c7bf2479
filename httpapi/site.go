package httpapi

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
	realm   string
	log     *slog.Logger
	metrics *Metrics
	now     func() time.Time
	trusted []netip.Prefix
}

type siteConfig struct {
	name    string
	log     *slog.Logger
	metrics *Metrics
	now     func() time.Time
	trusted []netip.Prefix
}

func newSite(c siteConfig) (*site, error) {
	s := &site{
		name: c.name, echo: echo.New(), realm: "authd", log: c.log, metrics: c.metrics, now: c.now, trusted: c.trusted,
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
	s.echo.HTTPErrorHandler = func(err error, c echo.Context) { s.fail(&exchange{Context: c}, err) }
	s.echo.Use(s.observe)
	crossOrigin := http.NewCrossOriginProtection()
	s.guards = []guard{
		oneAuthorization,
		func(x *exchange) error { return refuseCrossOrigin(x, crossOrigin) },
	}
	return s, nil
}

// clientAddress takes the client's address from the connection, or from X-Forwarded-For as far as trusted proxies wrote
// it.
func clientAddress(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// observe wraps every request, also those without a route: it names the request, answers its errors and panics, and
// logs and measures it once.
func (s *site) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.now()
		x := &exchange{Context: c}
		x.requestID = s.requestID(c.Request())
		h := x.header()
		h.Set(echo.HeaderXRequestID, x.requestID)
		h.Set(echo.HeaderCacheControl, "no-store") // unless the handler knows better
		h.Set(echo.HeaderXContentTypeOptions, "nosniff")
		if err := s.recovered(next, x); err != nil {
			s.fail(x, err)
		}
		s.record(x, s.now().Sub(start))
		return nil
	}
}

// serve is the way of a request with a route: guards, bounds, handler.
func (s *site) serve(r *route) echo.HandlerFunc {
	return func(c echo.Context) error {
		x, ok := c.(*exchange)
		if !ok {
			return errors.New("request did not pass through observe")
		}
		x.route = r
		for _, g := range s.guards {
			if err := g(x); err != nil {
				return r.spelt(err)
			}
		}
		if body := c.Request().Body; body != nil && body != http.NoBody {
			c.Request().Body = http.MaxBytesReader(c.Response(), body, maxBody)
		}
		if r.changes {
			defer x.limitTime(requestTime, true)()
		}
		return r.spelt(r.handle(x))
	}
}

// recovered turns a panic of a handler into an error, so that the process lives. The value of a panic may hold
// anything, a secret included: only the runtime's own are shown.
func (s *site) recovered(next echo.HandlerFunc, x *exchange) (err error) {
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
	return next(x)
}

// requestID makes one up, or keeps the one that a trusted proxy sent.
func (s *site) requestID(r *http.Request) string {
	if len(s.trusted) > 0 {
		if id := r.Header.Get(echo.HeaderXRequestID); wellFormedID(id) && s.fromTrusted(r) {
			return id
		}
	}
	return rand.Text()
}

func (s *site) fromTrusted(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range s.trusted {
		if p.Contains(peer.Addr().Unmap()) {
			return true
		}
	}
	return false
}

func wellFormedID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, b := range []byte(id) {
		if !(b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '-' || b == '_' || b == '.') {
			return false
		}
	}
	return true
}
