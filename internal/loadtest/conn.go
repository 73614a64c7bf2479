package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrNoAnswer says that a connection broke before the first byte of an answer: the server may have closed it while the
// request was under way. Clients repeat such requests on another connection.
var ErrNoAnswer = errors.New("the connection ended before an answer")

// Conn is one client on a connection that stays open. It costs as little as a client can, since it often runs on the
// processors that the server needs: requests are bytes that are sent, and of an answer it reads what it must. One
// goroutine uses it at a time.
type Conn struct {
	conn    net.Conn
	in      *bufio.Reader
	body    []byte // of the latest answer
	closing bool   // the server will not answer here any more
}

// Dial connects to an address, by TLS if there is a configuration for it.
func Dial(ctx context.Context, addr string, config *tls.Config) (*Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	if config != nil {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("connecting: %w", err)
		}
		conn = secure
	}
	return &Conn{conn: conn, in: bufio.NewReaderSize(conn, 8<<10)}, nil
}

// Close ends the connection. It may be called while another goroutine waits in Call, whose error it causes.
func (c *Conn) Close() { c.conn.Close() }

// Timeout bounds the next call.
func (c *Conn) Timeout(d time.Duration) { _ = c.conn.SetDeadline(time.Now().Add(d)) } // fails only on a closed one

// Call sends a request and returns the answer's status. The body is valid until the next call. After an error, or when
// the answer said that it is the last one ([Conn.Done]), the connection is of no more use.
func (c *Conn) Call(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		if timeout(err) {
			return 0, nil, fmt.Errorf("sending: %w", err)
		}
		return 0, nil, fmt.Errorf("sending: %w: %w", ErrNoAnswer, err)
	}
	if _, err := c.in.Peek(1); err != nil {
		if timeout(err) {
			return 0, nil, fmt.Errorf("waiting for the answer: %w", err)
		}
		return 0, nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	status, length, err := c.head()
	if err == nil {
		err = c.read(length)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return status, c.body, nil
}

// Done tells that the server closes the connection after the latest answer.
func (c *Conn) Done() bool { return c.closing }

func timeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// inChunks stands for the length of a body that comes in chunks.
const inChunks = -1

// read takes the body. Its length is bounded by what authd answers with.
func (c *Conn) read(length int) error {
	const longest = 1 << 20
	if length > longest {
		return fmt.Errorf("%d bytes, at most %d are read", length, longest)
	}
	if length == inChunks {
		var b bytes.Buffer
		_, err := io.Copy(&b, io.LimitReader(httputil.NewChunkedReader(c.in), longest))
		c.body = append(c.body[:0], b.Bytes()...)
		if err == nil {
			_, err = c.in.ReadSlice('\n') // the empty line behind the last chunk
		}
		return err
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err := io.ReadFull(c.in, c.body)
	return err
}

// head reads up to the body and returns the length of that.
func (c *Conn) head() (status, length int, err error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return 0, 0, err
	}
	const start = "HTTP/1.1 200"
	if len(line) < len(start) {
		return 0, 0, errors.New("no answer of HTTP")
	}
	if status, err = strconv.Atoi(string(line[len(start)-3 : len(start)])); err != nil {
		return 0, 0, errors.New("no answer of HTTP")
	}
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return 0, 0, err
		}
		if len(line) <= len("\r\n") {
			return status, length, nil
		}
		if value, ok := header(line, "Content-Length"); ok {
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, 0, fmt.Errorf("bad length %q", value)
			}
		} else if value, ok := header(line, "Transfer-Encoding"); ok && bytes.EqualFold(value, []byte("chunked")) {
			length = inChunks
		} else if value, ok := header(line, "Connection"); ok && bytes.EqualFold(value, []byte("close")) {
			c.closing = true
		}
	}
}

// header returns the value of a header line with that name.
func header(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

// Request is the bytes of a request on a connection that stays open. Empty parts are left out; a POST always has a body.
func Request(method, host, path, authorization, contentType, body string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	if authorization != "" {
		fmt.Fprintf(&b, "Authorization: %s\r\n", authorization)
	}
	if method == "POST" {
		fmt.Fprintf(&b, "Content-Type: %s\r\nContent-Length: %d\r\n", contentType, len(body))
	}
	return []byte(b.String() + "\r\n" + body)
}

// endpoint is where a URL leads.
type endpoint struct {
	url  *url.URL
	addr string
	tls  *tls.Config // nil for http
}

func parseEndpoint(raw string) (endpoint, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return endpoint{}, errors.New("not a URL") // the error would repeat what may hold a password
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return endpoint{}, errors.New("want http://HOST[:PORT] or https://HOST[:PORT] without user, query and fragment")
	}
	e := endpoint{url: u}
	port := u.Port()
	if u.Scheme == "https" {
		e.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	e.addr = net.JoinHostPort(u.Hostname(), port)
	return e, nil
}

// loopback tells whether a host is this machine, without asking a name server: a name might lead elsewhere later.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
