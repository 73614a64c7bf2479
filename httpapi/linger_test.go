package httpapi_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
)

// A server that lingers answers whatever comes, on connections that are open and on new ones, closes each with its answer,
// and keeps streams. After that the port is closed.
func TestLinger(t *testing.T) {
	e := newEnv(t, options{public: func(c *httpapi.PublicConfig) { c.Limits.Linger = 2 * time.Second }})
	url, stop, stopped := listener(t, e.public)
	stream, err := e.http.Do(e.newRequest(url, request{method: "GET", path: "/v1/revocations"}))
	must(t, err)
	defer stream.Body.Close()

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	must(t, err)
	defer conn.Close()
	if answered := askOn(t, conn, false); strings.Contains(answered, "Connection: close") {
		t.Fatalf("before it is told to stop: %s", answered)
	}
	stop()
	ended := make(chan time.Time, 1)
	go func() {
		_, _ = io.Copy(io.Discard, stream.Body)
		ended <- time.Now()
	}()
	told := time.Now()
	await(t, "answers that close", func() bool {
		other, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		must(t, err)
		defer other.Close()
		return strings.Contains(askOn(t, other, false), "Connection: close")
	})
	if answered := askOn(t, conn, true); !strings.Contains(answered, " 200 ") || !strings.Contains(answered, "Connection: close") {
		t.Errorf("on a connection that was idle: %s", answered)
	}
	must(t, <-stopped)
	if took := time.Since(told); took < 2*time.Second {
		t.Errorf("it ended after %v", took)
	}
	if took := (<-ended).Sub(told); took < 2*time.Second {
		t.Errorf("a stream ended after %v", took)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting after the end: %v", err)
	}
}

// askOn sends a request on a connection, and returns the answer's first bytes, or all when the server closes it.
func askOn(t *testing.T, conn net.Conn, toTheEnd bool) string {
	t.Helper()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err := io.WriteString(conn, "GET /.well-known/jwks.json HTTP/1.1\r\nHost: x\r\n\r\n")
	must(t, err)
	if toTheEnd {
		answer, err := io.ReadAll(conn)
		must(t, err)
		return string(answer)
	}
	answer := make([]byte, 4<<10)
	n, err := conn.Read(answer)
	must(t, err)
	return string(answer[:n])
}

// Nobody gets a connection from a port that refuses, so closing it resets none; those that tried are told that it is closed.
func TestRefuse(t *testing.T) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	before, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	must(t, err)
	defer before.Close()
	httpapi.Refuse(l)

	_, err = (&net.Dialer{Timeout: 300 * time.Millisecond}).DialContext(t.Context(), "tcp", l.Addr().String())
	if timeout := net.Error(nil); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("connecting: %v", err)
	}
	accepted, err := l.Accept() // what was connected before stays so
	must(t, err)
	defer accepted.Close()
	if answered := answerOne(t, accepted, before); !strings.Contains(answered, "204") {
		t.Errorf("a connection of before answers %q", answered)
	}

	trying := make(chan error, 1)
	go func() {
		_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
		trying <- err
	}()
	time.Sleep(100 * time.Millisecond) // for its first packet; it is refused as well if that comes later
	must(t, l.Close())
	if err := <-trying; !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("who was connecting when the port closed: %v", err)
	}
}

// answerOne sends a request from one end of a connection to the other, and an answer back.
func answerOne(t *testing.T, server, client net.Conn) string {
	t.Helper()
	must(t, client.SetDeadline(time.Now().Add(time.Minute)))
	_, err := io.WriteString(client, http.MethodGet)
	must(t, err)
	_, err = io.ReadFull(server, make([]byte, len(http.MethodGet)))
	must(t, err)
	_, err = io.WriteString(server, "204")
	must(t, err)
	answer := make([]byte, 3)
	_, err = io.ReadFull(client, answer)
	must(t, err)
	return string(answer)
}
