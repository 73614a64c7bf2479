package main_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
)

// What docs/browser.md sets up works in a real browser: an application that knows nothing of logins, nginx as deploy/proxies
// has it, and authd.
func TestBrowserGuide(t *testing.T) {
	t.Parallel()
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := html.EscapeString(r.Header.Get("X-Auth-Subject"))
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1><p>%s for %s</p><a href="/account">Account</a>`,
			html.EscapeString(r.URL.RequestURI()), who)
	}))
	t.Cleanup(application.Close)
	var authd *server
	front := "http://" + testenv.Nginx(t, func(addr string) string {
		authd = serveAs(t, t.TempDir(), docs.Text(t, "docs/browser.md", "sh", 0), "127.0.0.1:8000", addr)
		return deployed(t, "nginx-login.conf", addr, strings.TrimPrefix(authd.URL, "http://"), strings.TrimPrefix(application.URL, "http://"))
	})
	var chromium testenv.Browser
	t.Cleanup(func() {
		if err := chromium.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("browser", func(t *testing.T) {
		tab := chromium.Tab(t)
		tab.Open(front + "/cart?item=1&size=2")
		tab.AwaitTitle("Sign in")
		tab.Fill("#username", "demo")
		tab.Fill("#password", "correct horse battery staple")
		tab.Click("main button")
		tab.AwaitTitle("Shop")
		if text := tab.Text("p"); !regexp.MustCompile(`^/cart\?item=1&size=2 for \S{20,}$`).MatchString(text) {
			t.Errorf("the application shows %q", text)
		}
		tab.Click("a")
		tab.AwaitTitle("Your account")
		tab.Click("header button")
		tab.AwaitTitle("Sign in")
		tab.Open(front + "/cart")
		tab.AwaitTitle("Sign in")
		if c := tab.Complaints(); len(c) > 0 {
			t.Errorf("the browser complains: %q", c)
		}
	})
}

// What docs/browser.md shows of files is in them, and all pictures are there.
func TestBrowserGuideIsTrue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/browser.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, snippet := range docs.Blocks(t, "docs/browser.md", "nginx") {
		isCutFrom(t, "nginx-login.conf", snippet.Text)
	}
	pictures := regexp.MustCompile(`\]\((screenshots/[a-z-]+\.png)\)`).FindAllStringSubmatch(string(text), -1)
	if len(pictures) < 4 {
		t.Errorf("only %d pictures", len(pictures))
	}
	for _, p := range pictures {
		if _, err := os.Stat(filepath.Join("../../docs", p[1])); err != nil {
			t.Error(err)
		}
	}
}
