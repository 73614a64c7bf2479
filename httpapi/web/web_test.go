package web_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi/web"
)

func newPages(t *testing.T) *web.Pages {
	t.Helper()
	p, err := web.New(web.Config{Site: "auth.example.com", Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func write(t *testing.T, status int, page web.Page) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := newPages(t).Write(w, status, page); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestPage(t *testing.T) {
	w := write(t, http.StatusForbidden, web.Page{Name: "notice", Title: "Not <here>", User: `"><b>`, Data: web.Notice{
		Text: "<script>alert(1)</script>", Link: "javascript:alert(1)", Action: "Go on",
	}})
	body := w.Body.String()
	if w.Code != http.StatusForbidden || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, want := range []string{
		"<title>Not &lt;here&gt; · auth.example.com</title>", "<h1>Not &lt;here&gt;</h1>", "&lt;script&gt;alert", `<html lang="en">`,
		"<strong>&#34;&gt;&lt;b&gt;</strong>",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, "javascript:") {
		t.Errorf("a link runs a script:\n%s", body)
	}
}

// Nobody can loosen the policy without this test.
func TestPolicy(t *testing.T) {
	const strict = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	w := write(t, http.StatusOK, web.Page{Name: "notice", Data: web.Notice{}})
	for name, want := range map[string]string{
		"Content-Security-Policy": strict, "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
		"Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w = write(t, http.StatusOK, web.Page{Name: "notice", Data: web.Notice{}, Scripts: []string{"passkey.js"}})
	if got := w.Header().Get("Content-Security-Policy"); got != strict+"; script-src 'self'" {
		t.Errorf("with a script: %q", got)
	}
}

// No template has what the policy would stop, and none a form that goes elsewhere: it goes to a path of this server, which
// some templates are given by their handler.
func TestTemplatesKeepThePolicy(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<style|<script[^>]*>[^<]|<script(?:>| [^s])|\sstyle=|\son[a-z]+=|javascript:|action="[^/{]|target=|<iframe|<base`)
	files := 0
	err := filepath.WalkDir("templates", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".html" {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		if found := inline.FindString(string(text)); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		return err
	})
	if err != nil || files < 3 {
		t.Errorf("%d templates, %v", files, err)
	}
}

func TestNext(t *testing.T) {
	const path = "/oauth2/authorize?client_id=shop&redirect_uri=https%3A%2F%2Fshop.example%2Fcb&state=a'b"
	body := write(t, http.StatusOK, web.Page{Name: "onward", Title: "You are signed in", Next: path}).Body.String()
	escaped := `/oauth2/authorize\?client_id=shop&amp;redirect_uri=https%3A%2F%2Fshop\.example%2Fcb&amp;state=a(&#39;|%27)b`
	for _, want := range []string{`content="0; url=` + escaped + `"`, `href="` + escaped + `"`} {
		if !regexp.MustCompile(want).MatchString(body) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

func TestUnknownPage(t *testing.T) {
	w := httptest.NewRecorder()
	for _, page := range []web.Page{{Name: "nothing"}, {Name: "layout"}, {Name: "notice", Scripts: []string{"x.js"}}, {Name: "notice", Data: 5}} {
		if err := newPages(t).Write(w, http.StatusOK, page); err == nil {
			t.Errorf("%+v was written", page)
		}
	}
	if w.Body.Len() > 0 || len(w.Header()) > 0 {
		t.Errorf("an answer was begun: %v %s", w.Header(), w.Body)
	}
	if _, err := web.New(web.Config{}); err == nil {
		t.Error("pages of no site")
	}
}

func TestAssets(t *testing.T) {
	p := newPages(t)
	body := write(t, http.StatusOK, web.Page{Name: "notice", Data: web.Notice{}}).Body.String()
	link := regexp.MustCompile(`href="/assets/([0-9a-f]{16})/authd.css"`).FindStringSubmatch(body)
	if link == nil {
		t.Fatalf("no style in\n%s", body)
	}
	for _, c := range []struct {
		version, name, cache string
		found                bool
	}{
		{link[1], "authd.css", "public, max-age=31536000, immutable", true},
		{"0123456789abcdef", "authd.css", "no-store", true},
		{link[1], "authd.js", "", false},
		{link[1], "../web.go", "", false},
	} {
		w := httptest.NewRecorder()
		found, err := p.Asset(w, c.version, c.name)
		if err != nil || found != c.found || w.Header().Get("Cache-Control") != c.cache || (w.Body.Len() > 0) != c.found {
			t.Errorf("%s/%s: %v %v %v", c.version, c.name, found, err, w.Header())
		}
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Second: "just now", 59 * time.Second: "just now", time.Minute: "1 minute ago", 59*time.Minute + 59*time.Second: "59 minutes ago",
		time.Hour: "1 hour ago", 47 * time.Hour: "1 day ago", 48 * time.Hour: "2 days ago", 40 * 24 * time.Hour: "17 Oct 2026",
	} {
		if got := web.Ago(now.Add(-d), now); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestDevice(t *testing.T) {
	for userAgent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                   "Chrome on Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                   "Safari on macOS",
		"curl/8.14.1": "curl", "": "Unknown device", strings.Repeat("x", 50): "Other device",
	} {
		if got := web.Device(userAgent); got != want {
			t.Errorf("%s: %q, want %q", userAgent, got, want)
		}
	}
}
