package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"
)

// feed hands the request to the revocation feed: a stream that ends when the server drains.
func (p *public) feed(x *exchange) error {
	ctx, cancel := context.WithCancel(x.ctx())
	defer cancel()
	defer context.AfterFunc(draining(ctx), cancel)()
	w := &streamWriter{Response: x.Response()}
	p.cfg.Feed.ServeHTTP(w, x.Request().WithContext(ctx))
	switch {
	case w.refused == 0:
		return nil
	case w.refused == http.StatusServiceUnavailable:
		r := unavailable("There are too many streams, or the server stops.")
		return &r
	case w.refused < http.StatusInternalServerError:
		return badRequest("The position or the nonce is malformed.")
	default:
		return errors.New("the revocation feed failed")
	}
}

// streamWriter passes a stream through, but keeps the feed's own refusals back, so that they are answered and logged
// like all others.
type streamWriter struct {
	*echo.Response
	refused int // status of the refusal; 0 for none
}

// WriteHeader implements [http.ResponseWriter].
func (w *streamWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.refused = status
		return
	}
	w.Response.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *streamWriter) Write(p []byte) (int, error) {
	if w.refused != 0 {
		return len(p), nil
	}
	return w.Response.Write(p)
}

// FlushError lets [http.ResponseController] see an error that echo's Flush would hide.
func (w *streamWriter) FlushError() error {
	return http.NewResponseController(w.Response.Writer).Flush()
}
