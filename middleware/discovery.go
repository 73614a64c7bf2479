package middleware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// metadata is what a guard needs of the issuer's authorization server metadata (RFC 8414).
type metadata struct {
	Issuer         string `json:"issuer"`
	JWKS           string `json:"jwks_uri"`
	RevocationFeed string `json:"revocation_feed_uri"` // authd's own member
}

const (
	metadataPath     = "/.well-known/oauth-authorization-server"
	maxMetadataBytes = 64 << 10
	discoveryTimeout = 5 * time.Second
	firstRetry       = 100 * time.Millisecond
	lastRetry        = 5 * time.Second
)

// errMetadata says that the issuer answered, and that trying again will not help: its metadata is wrong, or the URL is.
var errMetadata = errors.New("issuer metadata")

// checkIssuer refuses URLs that cannot be an issuer (RFC 8414 section 2), and http unless it is local or allowed.
func checkIssuer(raw string, insecure bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("issuer: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "":
		return errors.New("issuer: want an http or https URL without user information, query and fragment")
	case u.Scheme == "http" && !insecure && !isLoopback(u.Hostname()):
		return errors.New("issuer: http is accepted on loopback only; use https, or set InsecureIssuer")
	}
	return nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// discoverer reads an issuer's metadata.
type discoverer struct {
	issuer string
	opts   Options
	log    *slog.Logger
}

func newDiscoverer(issuer string, opts Options) discoverer {
	return discoverer{issuer: issuer, opts: opts, log: opts.Log}
}

// find asks until there is an answer, ctx ends, or giveUp says of an error that it is no use.
func (d discoverer) find(ctx context.Context, giveUp func(error) bool) (metadata, error) {
	client, own := newClient(d.opts.Client, discoveryTimeout)
	if own != nil {
		defer own.CloseIdleConnections()
	}
	var last error
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		m, err := d.ask(ctx, client)
		if err == nil || giveUp(err) {
			return m, err
		}
		if ctx.Err() != nil {
			return metadata{}, errors.Join(last, err)
		}
		if last == nil {
			d.log.Warn("issuer not found yet", "issuer", d.issuer, "err", err)
		}
		last = err
		select {
		case <-ctx.Done():
			return metadata{}, errors.Join(last, ctx.Err())
		case <-time.After(pause/2 + rand.N(pause/2)): // services that started together part
		}
	}
}

// ask reads the metadata once. The path is appended to the issuer's, as OpenID Connect discovery does it, and not
// inserted before it: that also works behind a proxy which knows the issuer by its path.
func (d discoverer) ask(ctx context.Context, client *http.Client) (metadata, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(d.issuer, "/")+metadataPath, nil)
	if err != nil {
		return metadata{}, fmt.Errorf("asking for the issuer's metadata: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return metadata{}, fmt.Errorf("asking for the issuer's metadata: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // 404 too: a gateway says that while the issuer starts
		return metadata{}, fmt.Errorf("asking for the issuer's metadata: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadataBytes))
	if err != nil {
		return metadata{}, fmt.Errorf("reading the issuer's metadata: %w", err)
	}
	var m metadata
	if err := json.Unmarshal(body, &m); err != nil {
		return metadata{}, fmt.Errorf("%w: not JSON: %w", errMetadata, err)
	}
	return m, d.check(m)
}

// check compares the issuer exactly (RFC 8414 section 3.3) and keeps the document from sending us anywhere less safe
// than the issuer is.
func (d discoverer) check(m metadata) error {
	if m.Issuer != d.issuer {
		return fmt.Errorf("%w: its issuer is %q, which is not exactly %q", errMetadata, m.Issuer, d.issuer)
	}
	for _, e := range []struct{ name, url string }{
		{"jwks_uri", m.JWKS}, {"revocation_feed_uri", m.RevocationFeed},
	} {
		u, err := url.Parse(e.url)
		switch {
		case e.url == "":
			return fmt.Errorf("%w: no %s; is this authd?", errMetadata, e.name)
		case err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https":
			return fmt.Errorf("%w: %s is not an http or https URL", errMetadata, e.name)
		case u.Scheme == "http" && strings.HasPrefix(d.issuer, "https:"):
			return fmt.Errorf("%w: %s is http, but the issuer is https", errMetadata, e.name)
		}
	}
	return nil
}
