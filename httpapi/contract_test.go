package httpapi_test

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/authd-project/authd/httpapi"
)

// contract is a transport that holds every answer of a server against its OpenAPI document: the status is documented
// for the operation, all documented headers are there, the body matches its schema, and nothing is undocumented.
type contract struct {
	t     testing.TB
	next  http.RoundTripper
	hosts map[string]*document // by scheme and host
}

// Reading a document takes half a second under the race detector, so each is read once.
var (
	publicContract = sync.OnceValues(func() (*document, error) { return readDocument(httpapi.PublicDocument()) }) //nolint:gochecknoglobals // a cache
	adminContract  = sync.OnceValues(func() (*document, error) { return readDocument(httpapi.AdminDocument()) })  //nolint:gochecknoglobals // a cache
)

type document struct {
	model   *v3.Document
	answers validator.Validator
}

// newContract holds the answers of the public and the admin listener, either of which may be absent, against their
// documents.
func newContract(t testing.TB, next http.RoundTripper, publicURL, adminURL string) *contract {
	t.Helper()
	public, err := publicContract()
	must(t, err)
	admin, err := adminContract()
	must(t, err)
	return &contract{t: t, next: next, hosts: map[string]*document{publicURL: public, adminURL: admin}}
}

// add holds the answers of one more public listener against the document.
func (c *contract) add(publicURL string) {
	c.t.Helper()
	public, err := publicContract()
	must(c.t, err)
	c.hosts[publicURL] = public
}

func readDocument(text []byte) (*document, error) {
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, err
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		return nil, err
	}
	answers, errs := validator.NewValidator(doc, config.WithFormatAssertions(), config.WithStrictMode(),
		config.WithStrictIgnoredHeadersExtra("x-content-type-options", "allow",
			"access-control-allow-origin", "access-control-expose-headers"))
	return &document{&model.Model, answers}, errors.Join(errs...)
}

// RoundTrip implements [http.RoundTripper].
func (c *contract) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	doc := c.hosts[req.URL.Scheme+"://"+req.URL.Host]
	if doc == nil {
		return resp, nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind == "text/event-stream" { // has no end, and a schema of "string"
		return resp, nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	c.check(doc, req, resp, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

func (c *contract) check(doc *document, req *http.Request, resp *http.Response, body []byte) {
	c.t.Helper()
	if httpapi.IsPage(req.URL.Path) {
		return
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusMethodNotAllowed {
		if !doc.has(req) { // what the conventions say of all unknown paths and methods
			if kind := resp.Header.Get("Content-Type"); kind != "application/problem+json" && req.Method != http.MethodHead {
				c.t.Errorf("%s %s: %d is %q, not a problem", req.Method, req.URL.Path, resp.StatusCode, kind)
			}
			return
		}
	}
	if req.Method == http.MethodOptions && resp.StatusCode == http.StatusNoContent && resp.Header.Get("Allow") != "" {
		return
	}
	if req.Method == http.MethodHead { // documented as its GET, but for the body
		return
	}
	if ok, errs := doc.answers.ValidateHttpResponse(req, resp); !ok {
		for _, e := range errs {
			c.t.Errorf("%s %s: %d breaks the contract: %s: %s %v\n%s", req.Method, req.URL.Path, resp.StatusCode,
				e.Message, e.Reason, e.SchemaValidationErrors, body)
		}
	}
}

// has tells whether the document has the request's operation.
func (d *document) has(req *http.Request) bool {
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		if !pathMatches(path, req.URL.EscapedPath()) {
			continue
		}
		method := strings.ToLower(req.Method)
		if method == "head" {
			method = "get"
		}
		_, ok := item.GetOperations().Get(method)
		return ok
	}
	return false
}

func pathMatches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}
