package hostileissuer

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Issuer is a server whose answer can be changed as one goes. It counts what is asked of it, and what it was able to send.
// Its methods may be called concurrently.
type Issuer struct {
	URL string // its origin, without a slash at the end

	handler  atomic.Pointer[http.Handler]
	requests atomic.Int64
	sent     atomic.Int64
	server   *http.Server
	served   chan struct{}
	network  Network
}

// NewIssuer starts an issuer on n that gives this answer to every request, whatever its path.
func NewIssuer(n Network, answer http.Handler) (*Issuer, error) {
	l, host, err := n.listen()
	if err != nil {
		return nil, err
	}
	i := &Issuer{URL: "http://" + host, served: make(chan struct{}), network: n}
	i.Answer(answer)
	i.server = &http.Server{
		Handler: http.HandlerFunc(i.serve), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		defer close(i.served)
		_ = i.server.Serve(counted{l, &i.sent}) // http.ErrServerClosed, after Close
	}()
	return i, nil
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.requests.Add(1)
	(*i.handler.Load()).ServeHTTP(w, r)
}

// Answer changes what the issuer answers from now on.
func (i *Issuer) Answer(answer http.Handler) { i.handler.Store(&answer) }

// Requests is how many requests there were.
func (i *Issuer) Requests() int { return int(i.requests.Load()) }

// Sent is how many bytes its clients have taken, heads of answers included; on loopback also what lies in the buffers
// of sockets, a few MiB at most.
func (i *Issuer) Sent() int64 { return i.sent.Load() }

// Transport makes a transport by which clients reach i, and everything else on its network.
func (i *Issuer) Transport() *http.Transport {
	return &http.Transport{DialContext: i.network.dial, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
}

// Close ends the server and what it is answering.
func (i *Issuer) Close() {
	_ = i.server.Close() // what its listener says does not matter any more
	<-i.served
}

// counted counts what is written to the connections of a listener.
type counted struct {
	net.Listener
	sent *atomic.Int64
}

func (l counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // http.Server looks for what the listener says
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(64 << 10) // else megabytes would count as taken
	}
	return &countedConn{c, l.sent}, nil
}

type countedConn struct {
	net.Conn
	sent *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err //nolint:wrapcheck // as the connection says it
}
