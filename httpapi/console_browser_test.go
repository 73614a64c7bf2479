package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/session"
)

// consoleStates are the pages of the console, in an order in which each can be reached. root is signed in from the second on.
func (e *consoleEnv) consoleStates() []state {
	open := func(path string) func(*testenv.Tab) {
		return func(tab *testenv.Tab) { tab.Open(e.url + path) }
	}
	return []state{
		{"console-login", "Sign in to the console", open("/console")},
		{"console-login-error", "Error: Sign in to the console", func(tab *testenv.Tab) { fillLogin(tab, rootName, "wrong") }},
		{"console-overview", "Overview", func(tab *testenv.Tab) {
			tab.Fill("#password", rootPassword)
			tab.Click("main button")
		}},
		{"console-users", "Users", open("/console/users")},
		{"console-search", "Users", func(tab *testenv.Tab) {
			tab.Fill("#q", "al")
			tab.Click("section[aria-labelledby=search] button")
			tab.Await("location.search === '?q=al'")
		}},
		{"console-user", "alice", func(tab *testenv.Tab) { tab.Click("a[href='/console/users/alice']") }},
		{"console-forgiven", "alice", func(tab *testenv.Tab) {
			tab.Click("form[action$='/forgive'] button")
			tab.Await("location.search === '?done=forgiven'")
		}},
		{"console-keys", "Keys", open("/console/keys")},
		{"console-revoke", "Revoke", open("/console/revoke")},
		{"console-blast", "Revoke: all of a user", func(tab *testenv.Tab) {
			tab.Fill("#id-username", "alice")
			tab.Click("section[aria-labelledby=axis-username] button")
		}},
		{"console-not-done", "Not done", open("/console/users/nobody")},
	}
}

// Every page of the console keeps the rules of axe-core, light and dark, wide and narrow, without any script, and shows nothing
// that its own policy stops. With -page it writes the pictures of the documentation.
func TestConsoleInBrowser(t *testing.T) {
	for _, look := range []struct {
		name  string
		dark  bool
		width int64
	}{{"light", false, 1000}, {"dark", true, 1000}, {"narrow", false, 360}} {
		t.Run(look.name, func(t *testing.T) {
			e := newConsole(t)
			for _, device := range []string{
				"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1",
			} {
				_, err := e.sessions.Login(t.Context(), session.LoginRequest{Username: aliceName, Password: alicePassword, Address: "192.0.2.7", UserAgent: device})
				must(t, err)
			}
			must(t, e.sessions.EndSubject(t.Context(), "somebody who is gone"))
			tab := chromium.Tab(t)
			tab.Dark(look.dark)
			for _, s := range e.consoleStates() {
				tab.Size(look.width, 640)
				s.reach(tab)
				tab.AwaitTitle(s.heading)
				if tab.Axe(); t.Failed() {
					t.Fatalf("in the state %s", s.name)
				}
				if wide := testenv.Eval[int64](tab, "document.documentElement.scrollWidth"); wide > look.width {
					t.Errorf("%s is %d pixels wide, and the window %d", s.name, wide, look.width)
				}
				if scripts := testenv.Eval[int](tab, "document.scripts.length"); scripts > 0 {
					t.Errorf("%s has %d scripts", s.name, scripts)
				}
				noComplaints(t, tab)
				if name := s.name + "-" + look.name; *page && slices.Contains(consolePictures(), name) {
					writePicture(t, name+".png", tab.Screenshot())
				}
			}
		})
	}
}

// consolePictures are those that docs/console.md shows.
func consolePictures() []string {
	return []string{"console-overview-light", "console-user-light", "console-keys-light", "console-keys-dark", "console-blast-light"}
}

// An administrator whose browser runs no scripts finds a user, sees what a revocation hits, and revokes.
func TestConsoleWorksWithoutScripts(t *testing.T) {
	e := newConsole(t)
	g := e.loginAlice()
	tab := chromium.Tab(t)
	tab.NoScripts()
	tab.Open(e.url + "/console/revoke")
	tab.AwaitTitle("Sign in to the console")
	fillLogin(tab, rootName, rootPassword)
	tab.AwaitTitle("Revoke")
	tab.Fill("#id-username", aliceName)
	tab.Click("section[aria-labelledby=axis-username] button")
	tab.AwaitTitle("Revoke: all of a user")
	if shown := tab.Text("main"); !strings.Contains(shown, "One session of alice ends") {
		t.Errorf("the page shows %q", shown)
	}
	if !e.alive(g) {
		t.Fatal("to look has revoked")
	}
	tab.Click("button.danger")
	tab.Await("location.search === '?done=revoked'")
	if e.alive(g) {
		t.Error("alice's token is accepted")
	}
	tab.Click("header button")
	tab.AwaitTitle("Sign in to the console")
	noComplaints(t, tab)
}
