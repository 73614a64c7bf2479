package loadtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"
)

// client sends requests to one of the servers that do the same, and stays there until that is gone, as a client behind a
// balancer does. One goroutine uses it at a time.
type client struct {
	servers  []endpoint
	at       int           // the server that is asked
	patience time.Duration // how long it tries to reach one
	timeout  time.Duration // of one request
	repeated func()        // told of each request that is sent again

	conn *Conn
}

// answer is what came of a request. body is valid until the next.
type answer struct {
	status   int
	body     []byte
	repeated bool // the request may have arrived twice
}

// do sends a request until it is answered. One that broke before an answer is sent again at once, as every client of HTTP
// does where that does no harm: all requests here can be repeated. A server that cannot be reached is tried for as long as
// there is patience.
func (c *client) do(ctx context.Context, request []byte) (a answer, o outcome, detail string) {
	began := time.Now()
	for tries := 0; ; tries++ {
		if c.conn == nil {
			if err := c.dial(ctx, began); err != nil {
				return a, unreachable, "cannot connect"
			}
		}
		c.conn.Timeout(c.timeout)
		var err error
		if a.status, a.body, err = c.conn.Call(request); err == nil {
			if c.conn.Done() {
				c.close()
			}
			return a, good, ""
		}
		c.close()
		switch {
		case timeout(err):
			return a, timedOut, "no answer in time"
		case !errors.Is(err, ErrNoAnswer) || tries > 0 && time.Since(began) > c.patience:
			return a, broken, "the connection broke"
		}
		a.repeated = true
		c.repeated()
	}
}

// dial connects to the server that was used last, or the next that can be reached.
func (c *client) dial(ctx context.Context, began time.Time) (err error) {
	for {
		for range c.servers {
			e := c.servers[c.at%len(c.servers)]
			dialing, cancel := context.WithTimeout(ctx, c.timeout)
			c.conn, err = Dial(dialing, e.addr, e.tls)
			cancel()
			if err == nil {
				return nil
			}
			c.at++
		}
		if time.Since(began) >= c.patience || !sleep(ctx, 20*time.Millisecond) {
			return err
		}
	}
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// judge says what an answer means where one status is expected.
func (a answer) judge(want int) (outcome, string) {
	switch a.status {
	case want:
		return good, ""
	case http.StatusTooManyRequests:
		return limited, ""
	case http.StatusServiceUnavailable:
		return unavailable, ""
	}
	detail := fmt.Sprintf("status %d", a.status)
	// A problem's code, or the error of OAuth: a word of a fixed set, and nothing that came with the request.
	if m := regexp.MustCompile(`"(?:code|error)":"([a-z_]{1,40})"`).FindSubmatch(a.body); m != nil {
		detail += " " + string(m[1])
	}
	return outcome(fmt.Sprint(a.status)), detail
}

// sleep waits, and tells whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
