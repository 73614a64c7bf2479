package httpapi_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/authd-project/authd/httpapi"
)

// BenchmarkRequest measures whole requests over loopback, one connection for each of GOMAXPROCS clients, beside an empty
// echo handler and one that writes the bytes of the key set. The processor time, which counts the client in but not what
// else the machine does, is the one to compare.
func BenchmarkRequest(b *testing.B) {
	e := newEnv(b, options{public: func(c *httpapi.PublicConfig) {
		c.Log = slog.New(slog.NewJSONHandler(&logBuffer{}, nil)) // as in production, at level info
	}})
	g := e.loginAlice()
	empty := echo.New()
	empty.GET("/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	set, err := e.ring.JWKS(b.Context())
	must(b, err)
	empty.GET("/bytes", func(c echo.Context) error { // what the key set costs at least
		c.Response().Header().Set("ETag", set.ETag)
		c.Response().Header().Set("Cache-Control", "public, max-age=600")
		return c.Blob(http.StatusOK, "application/jwk-set+json", set.Body)
	})
	empty.GET("/headers", func(c echo.Context) error { // what forward-auth costs at least
		h := c.Response().Header()
		for _, name := range []string{"X-Request-Id", "Cache-Control", "X-Content-Type-Options", "X-Auth-Subject", "X-Auth-Session", "X-Auth-Scope"} {
			h[name] = []string{"value"}
		}
		return c.NoContent(http.StatusOK)
	})
	answer := bytes.Repeat([]byte("x"), 500)
	empty.POST("/form", func(c echo.Context) error { // what introspection costs at least
		if _, err := io.ReadAll(c.Request().Body); err != nil {
			return err
		}
		return c.JSONBlob(http.StatusOK, answer)
	})
	emptyURL := serveFor(b, empty)
	publicURL := serveFor(b, e.public)

	bearer := "Authorization: Bearer " + g.AccessToken + "\r\n"
	basic := http.Request{Header: http.Header{}}
	basic.SetBasicAuth(clientID, clientSecret)
	form := "token=" + g.AccessToken
	post := func(path string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: " + basic.Header.Get("Authorization") +
			"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " + strconv.Itoa(len(form)) + "\r\n\r\n" + form
	}
	for _, c := range []struct{ name, url, request string }{
		{"empty", emptyURL, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"bytes", emptyURL, "GET /bytes HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"jwks", publicURL, "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"verify", publicURL, "GET /v1/verify HTTP/1.1\r\nHost: x\r\n" + bearer + "\r\n"},
		{"headers", emptyURL, "GET /headers HTTP/1.1\r\nHost: x\r\n" + bearer + "\r\n"},
		{"form", emptyURL, post("/form")},
		{"introspect", publicURL, post("/oauth2/introspect")},
	} {
		b.Run(c.name, func(b *testing.B) { ask(b, c.url, c.request) })
	}
}

// ask sends the same request again and again. Answers of these sizes come in one piece.
func ask(b *testing.B, url, request string) {
	b.Helper()
	began := processorTime()
	defer func() { b.ReportMetric(float64(processorTime()-began)/float64(b.N), "cpu-ns/op") }()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		buf := make([]byte, 16<<10)
		for pb.Next() {
			if _, err := conn.Write([]byte(request)); err != nil {
				b.Error(err)
				return
			}
			if n, err := conn.Read(buf); err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 200")) {
				b.Errorf("%v %q", err, buf[:n])
				return
			}
		}
	})
}

// processorTime is what this process has used so far, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for the process itself
	return u.Utime.Nano() + u.Stime.Nano()
}

// serveFor serves h on a free port until the benchmark ends.
func serveFor(b *testing.B, h http.Handler) string {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	must(b, err)
	s := &http.Server{Handler: h}
	runner(b)(func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = s.Close() })()
		_ = s.Serve(l)
		return nil
	})
	return "http://" + l.Addr().String()
}
