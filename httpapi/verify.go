package httpapi

import (
	"net/http"
	"strings"
)

// forwardAuth answers a reverse proxy that asks about the token of somebody else's request. Proxies copy the three
// headers over whatever the client sent in them, so all three are present even when empty. It takes no bound tokens.
func (p *public) forwardAuth(x *exchange) error {
	if _, ok := dpopToken(x.Request()); ok {
		err := errBoundByProxy()
		p.metrics.verifications.count(err)
		return err
	}
	claims, err := p.authenticate(x)
	if err != nil {
		return err
	}
	h := x.header()
	values := []string{headerValue(claims.Subject), headerValue(claims.SessionID), scopeHeader(claims.Scope)}
	h["X-Auth-Subject"], h["X-Auth-Session"], h["X-Auth-Scope"] = values[0:1:1], values[1:2:2], values[2:3:3]
	x.Response().WriteHeader(http.StatusOK)
	return nil
}

// headerValue makes s safe to be a header's value: every byte that is not printable ASCII, the space and the percent
// sign are percent-encoded. The mapping is one-to-one, so two subjects never look alike to a service.
func headerValue(s string) string {
	const hex = "0123456789ABCDEF"
	if !strings.ContainsFunc(s, mustEncode) {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; mustEncode(rune(c)) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&0xF])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func mustEncode(r rune) bool { return r <= 0x20 || r >= 0x7F || r == '%' }

// scopeHeader keeps the spaces between scopes.
func scopeHeader(scope string) string {
	return strings.ReplaceAll(headerValue(scope), "%20", " ")
}
