package tokentest

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// Canary is a server to which the URLs in hostile tokens lead. It serves the forger's keys, as a key set and with the
// metadata of an issuer, so that a verifier which believes it accepts forged tokens. A verifier that follows no URL of a
// token never connects to it.
type Canary struct {
	URL string // for Target.Canary

	server *httptest.Server
	visits atomic.Int64
}

// NewCanary starts a canary on a free port of loopback, for tokens that derive from t, whose Canary need not be set. The
// caller closes it.
func NewCanary(t Target) (*Canary, error) {
	c, err := newCorpus(t)
	if err != nil {
		return nil, fmt.Errorf("canary: %w", err)
	}
	canary := &Canary{}
	canary.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/jwks.json", http.StatusFound)
		case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
			fmt.Fprintf(w, `{"issuer":%s,"jwks_uri":%s}`, quote(canary.URL), quote(canary.URL+"/jwks.json"))
		default:
			_, _ = w.Write(c.forgedJWKS())
		}
	}))
	canary.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			canary.visits.Add(1)
		}
	}
	canary.server.Start()
	canary.URL = canary.server.URL
	return canary, nil
}

// Visits is how many connections there were. It may be called at any time.
func (c *Canary) Visits() int { return int(c.visits.Load()) }

// Close stops the canary.
func (c *Canary) Close() { c.server.Close() }
