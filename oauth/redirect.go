package oauth

import (
	"net/url"
	"slices"
	"strings"
)

// RedirectsTo tells whether uri is one of the client's redirect URIs: the very same characters, but for the port of a
// native client's loopback address (RFC 8252 section 7.3).
func (c *Client) RedirectsTo(uri string) bool {
	return slices.Contains(c.RedirectURIs, uri) || c.Native && slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		return sameButPort(registered, uri)
	})
}

// LogsOutTo tells whether a logout that the client asked for may lead to uri.
func (c *Client) LogsOutTo(uri string) bool {
	return slices.Contains(c.PostLogoutRedirectURIs, uri) || c.Native && slices.ContainsFunc(c.PostLogoutRedirectURIs,
		func(registered string) bool { return sameButPort(registered, uri) })
}

// sameButPort compares what stands before and after the port of a loopback address. "localhost" does not count, as it may
// resolve to something else (RFC 8252 section 8.3).
func sameButPort(registered, uri string) bool {
	for _, start := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(registered, start)
		given, ok2 := strings.CutPrefix(uri, start)
		if !ok || !ok2 {
			continue
		}
		rest, ok = cutPort(rest)
		given, ok2 = cutPort(given)
		return ok && ok2 && rest == given
	}
	return false
}

// cutPort returns what follows the port that s may begin with: nothing, or a path or a query.
func cutPort(s string) (rest string, ok bool) {
	rest = s
	if port, found := strings.CutPrefix(s, ":"); found {
		rest = strings.TrimLeft(port, "0123456789")
		if digits := len(port) - len(rest); digits == 0 || digits > 5 {
			return "", false
		}
	}
	return rest, rest == "" || rest[0] == '/' || rest[0] == '?'
}

// Redirect returns uri with these parameters added to what it has (RFC 6749 section 4.1.2); those without a value are left
// out. The URI must be one that a client is registered with.
func Redirect(uri string, parameters ...[2]string) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := byte('?')
	if strings.Contains(uri, "?") {
		separator = '&'
	}
	for _, p := range parameters {
		if p[1] == "" {
			continue
		}
		b.WriteByte(separator)
		b.WriteString(url.QueryEscape(p[0]))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p[1]))
		separator = '&'
	}
	return b.String()
}
