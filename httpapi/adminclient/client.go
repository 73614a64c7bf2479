package adminclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/authd-project/authd/httpapi/adminapi"
)

// maxAnswer bounds what is read of an answer, in bytes. The longest is a page of users.
const maxAnswer = 8 << 20

// Error is a refusal of the server.
type Error struct {
	adminapi.Problem
	// RetryAfter is when the server suggests to try again; zero when it suggests nothing.
	RetryAfter time.Duration
}

// Error implements error with what the server says to people.
func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	return fmt.Sprintf("%s (%d %s)", strings.TrimSuffix(text, "."), e.Status, e.Code)
}

// Client calls one server's admin API. Methods may be called concurrently. Their errors are an [*Error] when the server
// refused, and wrap the cause when it was not reached or not understood.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// Config says whom to ask.
type Config struct {
	URL       string            // of the admin listener, such as http://127.0.0.1:8081. Required.
	Token     string            // the admin token; may be empty for Leader
	Transport http.RoundTripper // default http.DefaultTransport
	Timeout   time.Duration     // of a whole call; default 30 s
}

// New returns a client. It does not connect yet.
func New(c Config) (*Client, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("admin URL %q: must be http://HOST:PORT or https://HOST:PORT", c.URL)
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return &Client{
		base: base, token: c.Token,
		http: &http.Client{
			Transport: c.Transport, Timeout: c.Timeout,
			// The token goes to the server it was given for, nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// call sends body, if any, and decodes the answer into result, if any. Each part of the path is encoded.
func (c *Client) call(ctx context.Context, method string, query url.Values, body, result any, path ...string) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encoding the request: %w", err)
		}
		content = bytes.NewReader(text)
	}
	target := c.base.String()
	for _, part := range path {
		target = strings.TrimSuffix(target, "/") + "/" + url.PathEscape(part)
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return fmt.Errorf("asking %s: %w", c.base.Host, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the admin API: %w", err)
	}
	defer resp.Body.Close()
	return decode(resp, result)
}

// decode reads an answer, or the problem in its place.
func decode(resp *http.Response, result any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxAnswer:
		return errors.New("reading the answer: too large")
	case resp.StatusCode >= http.StatusBadRequest:
		return problemOf(resp, body)
	case resp.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("the server redirects (%s); give its own URL", resp.Status)
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// problemOf reads a problem; whatever else answers with an error is not authd.
func problemOf(resp *http.Response, body []byte) error {
	e := &Error{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != "application/problem+json" || json.Unmarshal(body, &e.Problem) != nil {
		return fmt.Errorf("the server answers %s, but not as authd does", resp.Status)
	}
	if seconds, err := time.ParseDuration(resp.Header.Get("Retry-After") + "s"); err == nil {
		e.RetryAfter = seconds
	}
	return e
}
