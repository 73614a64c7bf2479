package testenv_test

import (
	"bytes"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

// The browser does what a person does, and tells what it has to complain about.
func TestBrowser(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'none'")
		if r.Method == http.MethodPost {
			fmt.Fprintf(w, `<!doctype html><html lang="en"><title>b</title><h1>Hello %s</h1>`, r.FormValue("name"))
			return
		}
		fmt.Fprint(w, `<!doctype html><title>a</title><h1>Who?</h1><form method="post"><input name="name" value="old"><button>Go</button></form>
			<script>document.title = "run"</script>`)
	}))
	t.Cleanup(server.Close)
	var chromium testenv.Browser
	t.Cleanup(func() {
		if err := chromium.Close(); err != nil {
			t.Error(err)
		}
	})
	failed := &failures{TB: t}
	t.Run("tab", func(t *testing.T) {
		failed.TB = t
		tab := chromium.Tab(failed)
		tab.Open(server.URL)
		if got := strings.Join(tab.Complaints(), "\n"); !strings.Contains(got, "Content Security Policy") {
			t.Errorf("complaints about a script that the policy stops: %q", got)
		}
		tab.Axe()
		if got := strings.Join(failed.texts, "\n"); !strings.Contains(got, "html-has-lang") || !strings.Contains(got, "label") {
			t.Errorf("axe has found %q", got)
		}
		tab.Dark(true)
		tab.Fill("input", "Zoë")
		tab.Click("button")
		tab.AwaitTitle("Hello Zoë")
		if _, err := png.Decode(bytes.NewReader(tab.Screenshot())); err != nil {
			t.Error(err)
		}
		if tab.Text("h1") != "Hello Zoë" || tab.URL() != server.URL+"/" {
			t.Errorf("%q at %s", tab.Text("h1"), tab.URL())
		}
	})
}

// failures keeps what would fail a test.
type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}
