package httpapi

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// publicDocument is the OpenAPI document of the public listener.
//
//go:embed openapi.yaml
var publicDocument []byte

// document is an answer that is ready to be served, down to the values of its headers: the key set is asked for a lot.
type document struct {
	body                            []byte
	contentType, etag, cacheControl []string // one value each; shared, never changed
	maxAge                          time.Duration
}

func newDocument(contentType string, body []byte, etag string, maxAge time.Duration) *document {
	return &document{
		body: body, contentType: []string{contentType}, etag: []string{etag}, maxAge: maxAge,
		cacheControl: []string{"public, max-age=" + strconv.FormatInt(int64(maxAge/time.Second), 10)},
	}
}

// newFixed makes a document that changes with a new release or configuration only.
func newFixed(contentType string, body []byte) *document {
	sum := sha256.Sum256(body)
	return newDocument(contentType, body, `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`, 5*time.Minute)
}

// send answers a document, or 304 when the client has it already.
func (d *document) send(x *exchange) error {
	h := x.header()
	h["Etag"] = d.etag
	h[echo.HeaderCacheControl] = d.cacheControl
	if match := x.Request().Header.Get("If-None-Match"); match != "" && etagMatches(match, d.etag[0]) {
		return x.NoContent(http.StatusNotModified)
	}
	h[echo.HeaderContentType] = d.contentType
	x.Response().WriteHeader(http.StatusOK)
	_, err := x.Response().Write(d.body)
	return err
}

// etagMatches compares weakly, as RFC 9110 section 13.1.2 wants for If-None-Match.
func etagMatches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// jwks serves the key set. The document is made anew when the set or its max-age has changed.
func (p *public) jwks(x *exchange) error {
	set, err := p.cfg.Keys.JWKS(x.ctx())
	if err != nil {
		return err
	}
	d := p.keySet.Load()
	if d == nil || d.etag[0] != set.ETag || d.maxAge != set.MaxAge {
		d = newDocument("application/jwk-set+json", set.Body, set.ETag, set.MaxAge)
		p.keySet.Store(d)
	}
	return d.send(x)
}
