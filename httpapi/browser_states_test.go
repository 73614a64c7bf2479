package httpapi_test

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

// page makes the test of all states write what it sees.
var page = flag.Bool("page", false, "write the screenshots of docs/browser.md")

// state is something that a page can show.
type state struct {
	name    string
	heading string
	reach   func(tab *testenv.Tab)
}

// states are all pages, each as it comes and with what was wrong. alice is signed in from the one named signedIn on.
func (e *env) states() []state {
	open := func(path string) func(*testenv.Tab) {
		return func(tab *testenv.Tab) { tab.Open(e.publicURL + path) }
	}
	return []state{
		{"login", "Sign in", open("/login")},
		{"login-error", "Error: Sign in", func(tab *testenv.Tab) { fillLogin(tab, aliceName, "wrong") }},
		{"account", "Your account", func(tab *testenv.Tab) {
			tab.Fill("#password", alicePassword)
			tab.Click("main button")
		}},
		{"account-done", "Your account", open("/account?done=others")},
		{"account-question", "Your account", open("/account?end=others")},
		{"password", "Change your password", open("/account/password")},
		{"password-error", "Error: Change your password", func(tab *testenv.Tab) {
			tab.Fill("#current", alicePassword)
			tab.Fill("#new", "password")
			tab.Fill("#again", "password")
			tab.Click("main button")
		}},
		{"login-again", "Confirm that it is you", open("/login?reauth=1")},
		{"logout", "Sign out", open("/logout")},
		{"refused", "Not found", func(tab *testenv.Tab) {
			tab.Open(e.publicURL + "/account?end=others")
			testenv.Eval[int](tab, `document.querySelector("[name=end]").value = "nonsense", 0`)
			tab.Click("section[aria-labelledby=ask] button")
		}},
		{"signed-out", "Sign in", func(tab *testenv.Tab) {
			tab.Open(e.publicURL + "/logout")
			tab.AwaitTitle("Sign out")
			tab.Click("main button")
		}},
	}
}

// Every page in every state keeps the rules of axe-core, light and dark, wide and narrow, and shows nothing that its own
// policy stops. With -page it writes the pictures of the documentation.
func TestBrowserStates(t *testing.T) {
	for _, look := range []struct {
		name  string
		dark  bool
		width int64
	}{{"light", false, 1000}, {"dark", true, 1000}, {"narrow", false, 360}} {
		t.Run(look.name, func(t *testing.T) {
			e := newEnv(t)
			e.loginAlice()
			tab := chromium.Tab(t)
			tab.Dark(look.dark)
			for _, s := range e.states() {
				tab.Size(look.width, 640)
				s.reach(tab)
				tab.AwaitTitle(s.heading)
				if tab.Axe(); t.Failed() {
					t.Fatalf("in the state %s", s.name)
				}
				if wide := testenv.Eval[int64](tab, "document.documentElement.scrollWidth"); wide > look.width {
					t.Errorf("%s is %d pixels wide, and the window %d", s.name, wide, look.width)
				}
				noComplaints(t, tab)
				if name := s.name + "-" + look.name; *page && slices.Contains(pictures(), name) {
					writePicture(t, name+".png", tab.Screenshot())
				}
			}
		})
	}
}

// pictures are those that docs/browser.md shows.
func pictures() []string {
	return []string{"login-light", "login-dark", "login-error-light", "account-light", "account-dark", "account-question-narrow", "password-error-light"}
}

// writePicture writes a picture for the documentation, small: of flat colours a palette is enough.
func writePicture(t *testing.T, name string, shot []byte) {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(shot))
	must(t, err)
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	must(t, encoder.Encode(&b, withPalette(full)))
	must(t, os.MkdirAll("../docs/screenshots", 0o755))
	must(t, os.WriteFile(filepath.Join("../docs/screenshots", name), b.Bytes(), 0o644))
}

// withPalette keeps the 256 colours that are used most, and takes the nearest of them for each other.
func withPalette(full image.Image) image.Image {
	count := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	bounds := full.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	used := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range used[:min(256, len(used))] {
		palette = append(palette, c)
	}
	small, index := image.NewPaletted(bounds, palette), map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := at(x, y)
			i, known := index[c]
			if !known {
				i = uint8(palette.Index(c))
				index[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	return small
}
