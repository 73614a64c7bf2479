package httpapi_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/statuslist"
)

// oneList publishes a single list.
type oneList struct {
	statuslist.Published
	err error
}

func (l oneList) List(_ context.Context, name string) (*statuslist.Published, error) {
	if name != "1800000000-0" {
		return nil, statuslist.ErrNotFound
	}
	return &l.Published, l.err
}

func (l oneList) URIs(context.Context) ([]string, error) {
	return []string{issuerURL + "/v1/statuslists/1800000000-0"}, l.err
}

func withList(l oneList) options {
	return options{public: func(c *httpapi.PublicConfig) { c.StatusLists = l }}
}

func TestStatusList(t *testing.T) {
	e := newEnv(t, withList(oneList{Published: statuslist.Published{
		JWT: []byte("the.signed.list"), Gzip: []byte("packed"), ETag: `"v1"`, MaxAge: 40 * time.Second,
	}}))
	const path = "/v1/statuslists/1800000000-0"
	for accept, want := range map[string]struct{ body, encoding, etag string }{
		"identity":                {"the.signed.list", "", `"v1"`},
		"gzip;q=0":                {"the.signed.list", "", `"v1"`},
		"gzip; q=0.0, br":         {"the.signed.list", "", `"v1"`},
		"br, gzip":                {"packed", "gzip", `"v1-gzip"`},
		"deflate, GZIP ; q = 0.5": {"packed", "gzip", `"v1-gzip"`},
	} {
		get := request{method: "GET", path: path, header: http.Header{
			"Accept": {statuslist.MediaType}, "Accept-Encoding": {accept},
		}}
		a := e.do(get)
		wantStatus(t, a, http.StatusOK)
		if a.body != want.body || a.header.Get("Content-Encoding") != want.encoding || a.header.Get("ETag") != want.etag ||
			a.header.Get("Content-Type") != "application/statuslist+jwt" || a.header.Get("Cache-Control") != "public, max-age=40" ||
			a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("Accept-Encoding %s: %q, %v", accept, a.body, a.header)
		}
		get.header.Set("If-None-Match", want.etag)
		a = e.do(get)
		if a.status != http.StatusNotModified || a.body != "" || a.header.Get("ETag") != want.etag || a.header.Get("Content-Encoding") != "" {
			t.Errorf("again: %d, %q, %v", a.status, a.body, a.header)
		}
		get.method, get.header["If-None-Match"] = "HEAD", nil
		if a = e.do(get); a.status != http.StatusOK || a.body != "" || a.header.Get("Content-Length") == "" {
			t.Errorf("HEAD: %d, %q, %v", a.status, a.body, a.header)
		}
	}
	a := e.do(request{method: "GET", path: path + "?time=1686925000"})
	wantProblem(t, a, http.StatusNotImplemented, "not_implemented")
	a = e.do(request{method: "GET", path: "/v1/statuslists/1800000600-0"})
	wantProblem(t, a, http.StatusNotFound, "not_found")
	lists := decode[map[string][]string](t, e.do(request{method: "GET", path: "/v1/statuslists"}), http.StatusOK)
	if len(lists["status_lists"]) != 1 || lists["status_lists"][0] != issuerURL+path {
		t.Errorf("lists %v", lists)
	}
	m := decode[map[string]any](t, e.do(request{method: "GET", path: "/.well-known/oauth-authorization-server"}), http.StatusOK)
	if m["status_list_aggregation_endpoint"] != issuerURL+"/v1/statuslists" {
		t.Errorf("metadata %v", m)
	}
}

func TestNoStatusLists(t *testing.T) {
	e := newEnv(t)
	for _, path := range []string{"/v1/statuslists", "/v1/statuslists/1800000000-0"} {
		wantProblem(t, e.do(request{method: "GET", path: path}), http.StatusNotFound, "not_found")
	}
	if a := e.do(request{method: "GET", path: "/.well-known/oauth-authorization-server"}); strings.Contains(a.body, "status") {
		t.Errorf("metadata %s", a.body)
	}
}

func TestStatusListUnavailable(t *testing.T) {
	e := newEnv(t, withList(oneList{err: statuslist.ErrUnavailable}))
	for _, path := range []string{"/v1/statuslists", "/v1/statuslists/1800000000-0"} {
		a := e.do(request{method: "GET", path: path})
		wantProblem(t, a, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
}
