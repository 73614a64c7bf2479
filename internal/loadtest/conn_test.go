package loadtest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Answers as servers and proxies write them are read whole, one after the other.
func TestConnReadsAnswers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/chunks":
			for range 3 {
				_, _ = io.WriteString(w, strings.Repeat("x", 5000))
				w.(http.Flusher).Flush()
			}
		case "/last":
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusTeapot)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, r.Method+" "+r.Host+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Content-Type")+" "+string(body))
		}
	}))
	defer s.Close()
	c, err := Dial(t.Context(), s.Listener.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []struct {
		request []byte
		status  int
		body    string
	}{
		{Request("GET", "a", "/", "Bearer x", "", ""), 200, "GET a Bearer x  "},
		{Request("GET", "a", "/chunks", "", "", ""), 200, strings.Repeat("x", 15000)},
		{Request("POST", "b", "/", "", "text/plain", "hello"), 200, "POST b  text/plain hello"},
		{Request("GET", "a", "/none", "", "", ""), 204, ""},
		{Request("GET", "a", "/last", "", "", ""), 418, ""},
	} {
		if c.Done() {
			t.Fatal("the connection is done")
		}
		status, body, err := c.Call(want.request)
		if err != nil || status != want.status || string(body) != want.body {
			t.Fatalf("%s: %d %.50s %v", want.request, status, body, err)
		}
	}
	if !c.Done() {
		t.Error("the server closes the connection, and nobody noticed")
	}
}

// It matters how a connection failed: only a request that was not answered at all may be sent again.
func TestConnTellsFailuresApart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for answer, want := range map[string]string{
		"": "none", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab": "broken", "SSH-2.0\r\n": "broken", "wait": "timeout",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n": "broken", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n": "broken",
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = bufio.NewReader(conn).ReadString('\n')
			if answer == "wait" {
				_, _ = io.Copy(io.Discard, conn)
				return
			}
			_, _ = io.WriteString(conn, answer)
		}()
		c, err := Dial(t.Context(), l.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Timeout(30 * time.Second)
		if want == "timeout" {
			c.Timeout(50 * time.Millisecond)
		}
		_, _, err = c.Call(Request("GET", "a", "/", "", "", ""))
		c.Close()
		<-done
		got := "broken"
		if timeout(err) {
			got = "timeout"
		} else if errors.Is(err, ErrNoAnswer) {
			got = "none"
		}
		if err == nil || got != want {
			t.Errorf("%q: %v is %s, want %s", answer, err, got, want)
		}
	}
}
