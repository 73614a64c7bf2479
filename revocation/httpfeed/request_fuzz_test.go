package httpfeed

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whatever a client asks for, what is taken from it may be written back into the stream and into a log.
func FuzzRequest(f *testing.F) {
	f.Add("after=e-1&nonce=abc", "", "192.0.2.1:80")
	f.Add("client=abc&held=def", "e-2", "[2001:db8::1]:80")
	f.Add("nonce=%0adata:", "e\n1", "")
	f.Add("after=%zz;&held=%22", "", "@")
	f.Fuzz(func(t *testing.T, query, lastEventID, from string) {
		r := httptest.NewRequest(http.MethodGet, "/v1/revocations", nil)
		r.URL = &url.URL{Path: "/v1/revocations", RawQuery: query}
		r.Header["Last-Event-Id"], r.RemoteAddr = []string{lastEventID}, from
		position, nonce, err := parseRequest(r)
		if err == nil && (strings.ContainsFunc(position.String(), unsafeInLine) || strings.ContainsFunc(nonce, unsafeInLine) || len(nonce) > maxNonce) {
			t.Errorf("%q, %q: position %q, nonce %q", query, lastEventID, position, nonce)
		}
		report, err := parseReport(r, time.Unix(0, 0))
		if err == nil && (report.Client == "" || strings.ContainsFunc(report.Held, unsafeInLine)) {
			t.Errorf("%q: report %+v", query, report)
		}
	})
}

func unsafeInLine(r rune) bool { return r <= ' ' || r > '~' }
