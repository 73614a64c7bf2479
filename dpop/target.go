package dpop

import (
	"net"
	"net/url"
	"strings"
)

// target returns the URL of a request without query and fragment in the one form in which two of them are compared: by the
// normalization of syntax and scheme (RFC 3986 sections 6.2.2 and 6.2.3), as RFC 9449 section 4.3 recommends.
func target(raw string) (string, bool) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.User != nil || u.Hostname() == "" {
		return "", false
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	switch {
	case scheme != "http" && scheme != "https":
		return "", false
	case port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443":
		if strings.IndexByte(host, ':') >= 0 {
			host = "[" + host + "]"
		}
	default:
		host = net.JoinHostPort(host, port)
	}
	return scheme + "://" + host + withoutDots(unescaped(u.EscapedPath())), true
}

// unescaped decodes what need not be percent-encoded, and writes the rest of the escapes in upper case.
func unescaped(path string) string {
	if strings.IndexByte(path, '%') < 0 {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) { // url.Parse has seen to it that two digits follow
			b.WriteByte(path[i])
			continue
		}
		if c := unhex(path[i+1])<<4 | unhex(path[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// withoutDots removes "." and ".." (RFC 3986 section 5.2.4), but no empty segments: they mean something.
func withoutDots(path string) string {
	var kept []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			kept = kept[:max(len(kept)-1, 0)]
		case s != ".":
			kept = append(kept, s)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}
