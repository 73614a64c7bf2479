package httpapi

import (
	"errors"
	"net/http"

	"github.com/authd-project/authd/audit"
)

// route is one operation of the OpenAPI document.
type route struct {
	method string
	path   string // as echo spells it; also the metric label and what the log shows
	handle handler

	event   audit.Type // what the audit log calls a success, and most failures; "" for nothing
	guarded bool       // only for administrators

	limit   string                   // name of the rate limit; routes of one name share it
	client  func(x *exchange) string // the client that the limit counts; nil or "" means the client's address
	limited *limit                   // nil for no limit

	// page is set for routes whose answers are pages: it answers an error with one.
	page func(x *exchange, r *refusal) error

	proxy   bool // asked by reverse proxies, which know only 401 and 403: a 400 becomes a 401
	oauth   bool // errors take the form of RFC 6749 instead of problem details
	changes bool // changes something: bounded in time, and goes on when the client leaves
	quiet   bool // machines ask it all the time: successes are logged at debug level only
	probe   bool // asked every few seconds by what watches the process: not traced
	noHead  bool // answers GET but not HEAD
	// anyOrigin lets what other origins send come to the handler: it goes by no cookie, or decides itself.
	anyOrigin bool

	timing [6]observer // by class of the status code: 1xx is 1
}

// guard looks at a request before its handler does, and refuses it with an error. Guards run in the order of
// [site.guards], for every route.
type guard func(x *exchange) error

// add makes a route known, together with HEAD for a GET.
func (s *site) add(r *route) {
	r.timing = s.metrics.timings(s.name, r.path, r.method)
	s.echo.Add(r.method, r.path, s.serve(r))
	if r.method == http.MethodGet && !r.noHead {
		head := *r
		head.method = http.MethodHead
		head.timing = s.metrics.timings(s.name, r.path, http.MethodHead)
		s.echo.Add(http.MethodHead, r.path, s.serve(&head))
	}
}

// spelt gives an error the status that the route's clients understand.
func (r *route) spelt(err error) error {
	var bad *refusal
	if !r.proxy || !errors.As(err, &bad) || bad.status != http.StatusBadRequest {
		return err
	}
	unauthorized := *bad
	unauthorized.status = http.StatusUnauthorized
	return &unauthorized
}
