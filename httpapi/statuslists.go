package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/statuslist"
)

// statusList serves a status list by the rules of draft-ietf-oauth-status-list-21 section 8. A list is compressed inside,
// but base64 twice over makes it larger by three quarters, which gzip takes back; so it is sent as it is or compressed
// once, as it was made.
func (p *public) statusList(x *exchange) error {
	if p.cfg.StatusLists == nil {
		return statuslist.ErrNotFound
	}
	if x.Request().URL.Query().Has("time") { // section 8.4
		return &refusal{
			status: http.StatusNotImplemented, code: codeNotImplemented, detail: "Only the present list can be had, not one of the past.",
		}
	}
	list, err := p.cfg.StatusLists.List(x.ctx(), x.Param("id"))
	if err != nil {
		return err
	}
	anyOrigin(x)
	x.header().Set(echo.HeaderVary, echo.HeaderAcceptEncoding)
	body, etag := list.JWT, list.ETag
	gzipped := acceptsGzip(x.Request().Header.Values(echo.HeaderAcceptEncoding))
	if gzipped {
		body, etag = list.Gzip, strings.TrimSuffix(list.ETag, `"`)+`-gzip"` // a strong one names the very bytes
	}
	if !etagMatches(x.Request().Header.Get("If-None-Match"), etag) {
		x.header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
		if gzipped {
			x.header().Set(echo.HeaderContentEncoding, "gzip")
		}
	}
	return newDocument(statuslist.MediaType, body, etag, list.MaxAge).send(x)
}

// statusLists serves the URIs of all lists (section 9.3).
func (p *public) statusLists(x *exchange) error {
	if p.cfg.StatusLists == nil {
		return statuslist.ErrNotFound
	}
	uris, err := p.cfg.StatusLists.URIs(x.ctx())
	if err != nil {
		return err
	}
	anyOrigin(x)
	return x.JSON(http.StatusOK, map[string][]string{"status_lists": uris})
}

// anyOrigin lets programs in browsers read what is the same for everybody (section 8.1).
func anyOrigin(x *exchange) { x.header().Set(echo.HeaderAccessControlAllowOrigin, "*") }

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3). A client that says nothing gets no compression.
func acceptsGzip(values []string) bool {
	for _, value := range values {
		for coding := range strings.SplitSeq(value, ",") {
			name, params, _ := strings.Cut(coding, ";")
			weight, weighted := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			q, err := strconv.ParseFloat(weight, 64)
			return !weighted || err == nil && q > 0
		}
	}
	return false
}
