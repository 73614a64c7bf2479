package main_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"golang.org/x/oauth2"
)

// person is somebody at a browser, who follows links and fills in forms.
type person struct {
	*http.Client
	username, password string // the demo user's, if not set to others

	stop string // a redirect to a URL that begins so is not followed
}

// page is what the browser shows.
type page struct {
	status int
	url    *url.URL
	text   string
}

// newPerson opens a browser that has no cookies yet, and trusts these servers.
func newPerson(t *testing.T, trusted ...*httptest.Server) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	for _, server := range trusted {
		transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	}
	t.Cleanup(transport.CloseIdleConnections)
	p := &person{Client: &http.Client{Jar: trustingJar{jar}, Transport: transport}, username: demoUser, password: demoPassword}
	p.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case p.stop != "" && strings.HasPrefix(r.URL.String(), p.stop):
			return http.ErrUseLastResponse
		case len(via) > 20:
			return errors.New("redirected in a circle")
		}
		return nil
	}
	return p
}

// trustingJar keeps Secure cookies of loopback addresses, which browsers take for secure also without TLS.
type trustingJar struct{ http.CookieJar }

func (j trustingJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(secure(u), cookies)
}
func (j trustingJar) Cookies(u *url.URL) []*http.Cookie { return j.CookieJar.Cookies(secure(u)) }

func secure(u *url.URL) *url.URL {
	s := *u
	s.Scheme = "https"
	return &s
}

// open follows a link.
func (p *person) open(t *testing.T, link string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	return p.do(t, req)
}

func (p *person) do(t *testing.T, req *http.Request) page {
	t.Helper()
	resp, err := p.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	at := resp.Request.URL
	if next, err := resp.Location(); err == nil { // one that is not followed
		at = next
	}
	shown := page{resp.StatusCode, at, string(text)}
	if next := shown.goesOn(t); next != "" {
		return p.open(t, next)
	}
	return shown
}

// goesOn returns where a page leads by itself; "" if it stays.
func (p page) goesOn(t *testing.T) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Data != "meta" || !strings.EqualFold(attribute(n, "http-equiv"), "refresh") {
			continue
		}
		_, target, _ := strings.Cut(strings.ToLower(attribute(n, "content")), "url=")
		next, err := url.Parse(attribute(n, "content")[len(attribute(n, "content"))-len(target):])
		if err != nil {
			t.Fatal(err)
		}
		return p.url.ResolveReference(next).String()
	}
	return ""
}

// submit fills in the form on a page that has all these fields, and sends it as a browser does.
func (p *person) submit(t *testing.T, on page, fields map[string]string) page {
	t.Helper()
	action, values, found := findForm(t, on, fields)
	if !found {
		t.Fatalf("no form with %v at %s (%d):\n%s", fields, on.url, on.status, on.text)
	}
	for name, value := range fields {
		values.Set(name, value)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, on.url.ResolveReference(action).String(), strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Origin", on.url.Scheme+"://"+on.url.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(t, req)
}

// logIn fills in the login page.
func (p *person) logIn(t *testing.T, on page, username, password string) page {
	t.Helper()
	return p.submit(t, on, map[string]string{"username": username, "password": password})
}

// findForm returns the first form that sends itself by POST and has these fields, with the values that it has already.
func findForm(t *testing.T, on page, fields map[string]string) (action *url.URL, values url.Values, found bool) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(on.text))
	if err != nil {
		t.Fatal(err)
	}
	for form := range root.Descendants() {
		if form.Data != "form" || !strings.EqualFold(attribute(form, "method"), "post") {
			continue
		}
		values = url.Values{}
		for n := range form.Descendants() {
			if name := attribute(n, "name"); name != "" && (n.Data == "input" || n.Data == "button") {
				values.Set(name, attribute(n, "value"))
			}
		}
		complete := true
		for name := range fields {
			complete = complete && values.Has(name)
		}
		if !complete {
			continue
		}
		if action, err = url.Parse(attribute(form, "action")); err != nil {
			t.Fatal(err)
		}
		return action, values, true
	}
	return nil, nil, false
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// logInTo does the code flow for a client that is not there: the code is read from the address of the redirect.
func (p *person) logInTo(t *testing.T, c oauth2.Config) *oauth2.Token {
	t.Helper()
	p.stop = c.RedirectURL
	defer func() { p.stop = "" }()
	verifier := oauth2.GenerateVerifier()
	at := p.open(t, c.AuthCodeURL("some-state-of-enough-length", oauth2.S256ChallengeOption(verifier)))
	if !strings.HasPrefix(at.url.String(), c.RedirectURL) {
		at = p.logIn(t, at, p.username, p.password)
	}
	if !strings.HasPrefix(at.url.String(), c.RedirectURL) || at.url.Query().Get("code") == "" {
		t.Fatalf("the login led to %s (%d):\n%s", at.url, at.status, at.text)
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, p.Client)
	tokens, err := c.Exchange(ctx, at.url.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// oauthClient runs `authd client new` and returns the secret and the file that it prints.
func oauthClient(t *testing.T, args ...string) (secret, file string) {
	t.Helper()
	out, err := command(t.Context(), "", append([]string{"client", "new"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`(?s)^(?:secret, for the client \(shown once\):\n  (\S+)\n)?for the file of the setting oauth-clients:\n(.*)$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("client new printed\n%s", out)
	}
	return m[1], m[2]
}

// oauthFile writes what `authd client new` has printed for several clients into one file.
func oauthFile(t *testing.T, entries ...string) (name string) {
	t.Helper()
	text := "clients:\n"
	for _, entry := range entries {
		text += strings.TrimPrefix(entry, "clients:\n")
	}
	return tempFile(t, "clients.yaml", text)
}

func tempFile(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
