package httpfeed_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

// reportsOf serves one request and returns the answer and what was reported.
func reportsOf(t *testing.T, target string, kept error) (*httptest.ResponseRecorder, []httpfeed.Report) {
	t.Helper()
	var reports []httpfeed.Report
	handler := httpfeed.NewHandler(httpfeed.HandlerConfig{
		Feed: script{{AsOf: time.Now()}}, ReportEvery: 7 * time.Second,
		Report: func(_ context.Context, r httpfeed.Report) error {
			r.At = time.Time{}
			reports = append(reports, r)
			return kept
		},
	})
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	handler.ServeHTTP(w, r)
	return w, reports
}

func TestReport(t *testing.T) {
	for target, want := range map[string]httpfeed.Report{
		"/?client=me&held=etag": {Client: "me", Held: "etag", From: "192.0.2.7:4711"},
		"/?client=me":           {Client: "me", From: "192.0.2.7:4711"},
		"/":                     {Client: "at 192.0.2.7", From: "192.0.2.7:4711"},
		"/?held=etag":           {Client: "at 192.0.2.7", From: "192.0.2.7:4711"}, // many may be there, and one cannot speak for all
	} {
		w, reports := reportsOf(t, target, nil)
		if len(reports) != 1 || reports[0] != want {
			t.Errorf("%s: reported %+v, want %+v", target, reports, want)
		}
		if w.Code != http.StatusOK || w.Header().Get("Authd-Report-Every") != "7" || !strings.Contains(w.Body.String(), "as_of") {
			t.Errorf("%s: answered %d %v %q", target, w.Code, w.Header(), w.Body)
		}
	}
	for _, target := range []string{"/?client=" + strings.Repeat("c", 65), "/?client=me&held=%22etag%22", "/?client=at+192.0.2.7"} {
		if w, reports := reportsOf(t, target, nil); w.Code != http.StatusBadRequest || len(reports) > 0 {
			t.Errorf("%s: answered %d, reported %+v", target, w.Code, reports)
		}
	}
}

// Whoever is served is counted.
func TestUnkeptReportIsNotServed(t *testing.T) {
	w, _ := reportsOf(t, "/?client=me&held=etag", errors.New("on purpose"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "data:") {
		t.Errorf("answered %d %v %q", w.Code, w.Header(), w.Body)
	}
}

// reporting is a client over w which reports what held says, and what it has reported.
func reporting(t *testing.T, w *wire, asking bool, held func(context.Context) string) (*httpfeed.Client, *[]httpfeed.Report) {
	t.Helper()
	var reports []httpfeed.Report
	cfg := httpfeed.HandlerConfig{Feed: ticks{}, ReportEvery: 20 * time.Second}
	if asking {
		cfg.Report = func(_ context.Context, r httpfeed.Report) error {
			reports = append(reports, r)
			return nil
		}
	}
	w.handler = httpfeed.NewHandler(cfg)
	client, err := httpfeed.NewClient("http://issuer/feed", &http.Client{Transport: w}, httpfeed.Holding(held))
	if err != nil {
		t.Fatal(err)
	}
	return client, &reports
}

// followFor follows for a while, which must be without a break.
func followFor(t *testing.T, client *httpfeed.Client, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	err := client.Follow(ctx, revocation.Position{}, func(revocation.Batch) error { return nil })
	if ctx.Err() == nil {
		t.Errorf("the feed broke: %v", err)
	}
}

// A client says what it holds, as often as the server asks, and what it cannot say in a word it leaves out.
func TestClientReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		etags := []string{`"one"`, `W/"two"`, `"a b"`, ""}
		n := 0
		client, reports := reporting(t, &wire{}, true, func(context.Context) string {
			n++
			return etags[min(n, len(etags))-1]
		})
		followFor(t, client, 81*time.Second)
		if len(*reports) < 5 || len(*reports) > 6 { // every 16 s to 20 s
			t.Fatalf("%d reports in 81 s, asked for one in 20 s", len(*reports))
		}
		for i, want := range []string{"one", "two", "", ""} {
			if got := (*reports)[i]; got.Held != want || got.Client == "" || got.Client != (*reports)[0].Client {
				t.Errorf("report %d is %+v, want %q", i, got, want)
			}
		}
	})
}

// A server that does not want to know is told once, and costs nothing from then on.
func TestClientStopsReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		w := &wire{}
		client, _ := reporting(t, w, false, func(context.Context) string { n++; return "etag" })
		followFor(t, client, 11*time.Minute)
		if n != 1 || len(w.urls) < 3 || strings.Contains(w.urls[1], "held") {
			t.Errorf("asked %d times what it holds, and requests were %q", n, w.urls)
		}
	})
}

// A client that does not report again is not served for ever on what it said once.
func TestStreamEndsWithItsReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := httpfeed.NewHandler(httpfeed.HandlerConfig{
			Feed: ticks{}, ReportEvery: 20 * time.Second, Report: func(context.Context, httpfeed.Report) error { return nil },
		})
		start := time.Now()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/?"+url.Values{"client": {"me"}}.Encode(), nil))
		if took := time.Since(start); took != 40*time.Second {
			t.Errorf("the stream ended after %v", took)
		}
	})
}
