package httpfeed

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// reportHeader is how a server asks for reports: every so many seconds.
const reportHeader = "Authd-Report-Every"

// Report is what a client says of itself when it asks for the feed.
type Report struct {
	Client string    // a name that it made up, and no other has; a client that gives none is known by its address
	Held   string    // the ETag, without quotes, of the JWKS that it holds; empty when it does not say
	From   string    // where its connection comes from
	At     time.Time // when the request was handled
}

// parseReport reads the parameters "held" and "client". Clients that give none are one for each address: whoever does
// not report is missing, and how often makes no difference.
func parseReport(r *http.Request, now time.Time) (Report, error) {
	query := r.URL.Query()
	report := Report{Client: query.Get("client"), Held: query.Get("held"), From: r.RemoteAddr, At: now}
	for name, value := range map[string]string{"client": report.Client, "held": report.Held} {
		if !validNonce(value) {
			return Report{}, fmt.Errorf("%s: want up to %d characters of base64url", name, maxNonce)
		}
	}
	if report.Client == "" {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		report.Client, report.Held = "at "+host, ""
	}
	return report, nil
}

// Option changes a [Client].
type Option func(*Client)

// Holding makes the client report, with each request, what it holds of something else that the server publishes: held
// returns the ETag of the JWKS when the client has made sure that this is what the server publishes now, and is empty
// when it cannot. The server may be waiting for all its clients to hold a new key. held is called before a request is
// sent, delays it, and is not called for servers that do not ask for reports.
func Holding(held func(context.Context) string) Option {
	return func(c *Client) { c.held = held }
}

// report returns what to say with the next request; empty when nobody has asked. The first request is always one with a
// report, as the answer to it will tell.
func (c *Client) report(ctx context.Context) (client, held string) {
	if c.held == nil || c.unasked.Load() {
		return "", ""
	}
	etag := strings.TrimPrefix(c.held(ctx), "W/")
	if etag = strings.Trim(etag, `"`); !validNonce(etag) {
		etag = ""
	}
	return c.name, etag
}

// asked takes note of whether the server asks for reports, and returns when the next one is due at the latest.
func (c *Client) asked(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get(reportHeader), 10, 31)
	wanted := err == nil && seconds > 0
	c.unasked.Store(!wanted)
	if !wanted {
		return renewEvery
	}
	return min(time.Duration(seconds)*time.Second, renewEvery)
}
