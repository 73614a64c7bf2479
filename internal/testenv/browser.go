package testenv

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/security"
	"github.com/chromedp/chromedp"
)

// browserPatience is how long a browser may take for one step on a busy machine.
const browserPatience = 2 * time.Minute

// Browser is a headless Chromium that the tests of a package share, since its start takes seconds. It starts with the first
// tab; TestMain ends it:
//
//	type suite struct{ *testing.M }
//
//	func (s suite) Run() int { defer chromium.Close(); return s.M.Run() }
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(suite{m}) }
//
// The zero value is ready to use.
type Browser struct {
	mu    sync.Mutex
	ctx   context.Context // of chromedp; nil until the start
	close func() error
}

// Tab opens a tab with cookies and a cache of its own, which closes when the test ends.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	parent, err := b.start()
	if err != nil {
		t.Fatalf("starting chromium: %v; install.sh installs it", err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	tab := &Tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the tab was at %q, which showed:\n%s", tab.where(), tab.shown())
		}
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("closing a tab: %v", err)
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil { // it has no time limit, or the tab would end with it
		t.Fatalf("opening a tab: %v", err)
	}
	if err := chromedp.Listen(ctx, tab.hear); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	Call(tab, log.Enable, cdp.Empty{})
	Call(tab, security.SetIgnoreCertificateErrors, security.SetIgnoreCertificateErrorsParams{Ignore: true})
	tab.Size(1000, 800)
	return tab
}

func (b *Browser) start() (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx != nil {
		return b.ctx, nil
	}
	program, err := exec.LookPath("chromium")
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "authd-chromium-")
	if err != nil {
		return nil, err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(browserPatience),
	}
	for _, flag := range []string{
		"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-extensions",
		"disable-default-apps", "disable-dev-shm-usage", "hide-scrollbars", "mute-audio",
	} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocator)
	end := func() error { return errors.Join(chromedp.Cancel(ctx), os.RemoveAll(profile)) }
	if err := chromedp.Do(ctx); err != nil {
		return nil, errors.Join(err, end())
	}
	b.ctx, b.close = ctx, end
	return ctx, nil
}

// Close ends the browser, if it was started, and waits for it.
func (b *Browser) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		return nil
	}
	b.ctx = nil
	return b.close()
}

// Tab is one tab of a [Browser]. What fails ends the test. Selectors are of CSS.
type Tab struct {
	t   testing.TB
	ctx context.Context

	mu         sync.Mutex
	complaints []string // guarded by mu
}

// hear writes down what the browser complains about.
func (b *Tab) hear(event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// That a page came with 401 is no complaint.
		if e.Entry.Source != log.EntrySourceNetwork || !strings.Contains(e.Entry.Text, "responded with a status of") {
			complaint = fmt.Sprintf("%s %s: %s", e.Entry.Source, e.Entry.Level, e.Entry.Text)
		}
	case *runtime.EventConsoleAPICalled:
		complaint = fmt.Sprintf("console.%s", e.Type)
		for _, a := range e.Args {
			complaint += " " + string(a.Value)
		}
	case *runtime.EventExceptionThrown:
		complaint = e.ExceptionDetails.Text
		if thrown := e.ExceptionDetails.Exception; thrown != nil {
			complaint += " " + thrown.Description
		}
	}
	if complaint != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, complaint)
	}
}

// Complaints returns what the browser has complained about since the last call: violations of the policy, errors of scripts,
// all that scripts print.
func (b *Tab) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.complaints
	b.complaints = nil
	return c
}

// Do does what chromedp can and Tab has no method for.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

// Call sends a command of the DevTools protocol, of the packages of cdproto, to a tab.
func Call[P, R any](b *Tab, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	r, err := chromedp.Call(ctx, command, params)
	if err != nil {
		b.t.Fatalf("browser: %s: %v", command.Method, err)
	}
	return r
}

// Eval evaluates an expression in the page, through the debugger, which no policy of the page stops, and returns its value.
func Eval[T any](b *Tab, expression string) T {
	b.t.Helper()
	v, err := try[T](b, expression)
	if err != nil {
		b.t.Fatalf("browser: %.200s: %v", expression, err)
	}
	return v
}

func try[T any](b *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Open goes to a URL and waits until it is loaded.
func (b *Tab) Open(url string) { b.t.Helper(); b.Do(chromedp.Navigate(url)) }

// Click clicks on what a selector finds, as a mouse does.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	b.Do(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Fill puts text in place of what a field holds, key by key.
func (b *Tab) Fill(selector, text string) {
	b.t.Helper()
	b.Do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses keys, wherever the focus is; those without a character are in package chromedp/kb.
func (b *Tab) Press(keys string) { b.t.Helper(); b.Do(chromedp.KeyEvent(keys)) }

// Await waits until an expression is true in the page that the tab shows by then.
func (b *Tab) Await(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(browserPatience); ; time.Sleep(20 * time.Millisecond) {
		is, err := try[bool](b, "!!("+expression+")") // fails while the page changes
		switch {
		case err == nil && is:
			return
		case time.Now().After(deadline):
			b.t.Fatalf("browser: never %s at %q (%v):\n%s", expression, b.where(), err, b.shown())
		}
	}
}

// AwaitTitle waits for a page with this heading, completely loaded.
func (b *Tab) AwaitTitle(heading string) {
	b.t.Helper()
	quoted, _ := json.Marshal(heading)
	b.Await("document.readyState === 'complete' && document.querySelector('h1')?.textContent === " + string(quoted))
}

// Text returns the text of what a selector finds.
func (b *Tab) Text(selector string) string {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	return Eval[string](b, "document.querySelector("+string(quoted)+").innerText")
}

// URL returns where the tab is.
func (b *Tab) URL() string { b.t.Helper(); return Eval[string](b, "location.href") }

func (b *Tab) where() string {
	url, err := try[string](b, "location.href")
	if err != nil {
		return err.Error()
	}
	return url
}

func (b *Tab) shown() string {
	text, err := try[string](b, "document.body.innerText")
	if err != nil {
		return err.Error()
	}
	return text
}

// Size sets the size of what the page is drawn in.
func (b *Tab) Size(width, height int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, height))
}

// Dark says whether the person likes dark pages.
func (b *Tab) Dark(dark bool) {
	b.t.Helper()
	scheme := map[bool]string{false: "light", true: "dark"}[dark]
	Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// NoScripts stops the scripts of the pages to come.
func (b *Tab) NoScripts() {
	b.t.Helper()
	Call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
}

// Screenshot returns the whole page as a PNG.
func (b *Tab) Screenshot() []byte {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatalf("browser: screenshot: %v", err)
	}
	return png
}

//go:embed axe/package-lock.json
var axeLock []byte

// AxeViolation is a rule of axe-core that a page breaks.
type AxeViolation struct {
	ID    string
	Help  string
	Nodes []struct {
		HTML           string
		FailureSummary string
	}
}

// Axe fails the test for every rule of accessibility that the page breaks.
func (b *Tab) Axe() {
	b.t.Helper()
	source, err := os.ReadFile(filepath.Join(npmDir(b.t, "axe", axeLock), "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.t.Fatalf("axe-core: %v", err)
	}
	Eval[int](b, string(source)+"\n;0")
	result := Eval[struct {
		Violations []AxeViolation
		Passes     []struct{ ID string }
	}](b, "axe.run(document, {preload: false, resultTypes: ['violations', 'passes']})")
	if len(result.Passes) < 10 {
		b.t.Errorf("axe: only %d rules were applied", len(result.Passes))
	}
	for _, v := range result.Violations {
		for _, n := range v.Nodes {
			b.t.Errorf("axe: %s: %s: %s\n%s", v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}
