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
		authd = serve(t, t.TempDir(), "--demo", "--issuer", "http://"+addr, "--trusted-proxies", "127.0.0.1/32", "--return-to", "/")
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
	snippets := regexp.MustCompile("(?s)<!-- Cut from deploy/proxies/(\\S+); a test compares. -->\n```\\w+\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(snippets) != 2 {
		t.Fatalf("%d snippets", len(snippets))
	}
	for _, s := range snippets {
		if file := deployFile(t, s[1]); !strings.Contains(unindented(file), "\n"+unindented(s[2])) {
			t.Errorf("%s does not have\n%s", s[1], s[2])
		}
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
