package ratelimit

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CheckName says whether a limit may have this name in the RateLimit fields: printable ASCII, as a String of RFC 9651
// section 3.3.3 wants it, and neither quote nor backslash, which would have to be escaped.
func CheckName(name string) error {
	if name == "" {
		return errors.New("rate limit name: required")
	}
	for _, c := range []byte(name) {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return fmt.Errorf("rate limit name %q: must be printable ASCII without quotes and backslashes", name)
		}
	}
	return nil
}

// AddHeader adds the fields of draft-ietf-httpapi-ratelimit-headers-11 for one limit, and Retry-After (RFC 9110 section
// 10.2.3) when the decision refuses:
//
//	RateLimit-Policy: "api";q=100;w=60
//	RateLimit: "api";r=0;t=12
//	Retry-After: 12
//
// Call it once for each limit that was asked; the longest Retry-After stays. The window is left out where it is not
// whole seconds, as the field cannot say it. Do not add the fields for limits on failures of somebody else's account:
// they would tell how often others have tried.
func AddHeader(h http.Header, name string, p Policy, d Decision) {
	policy := fmt.Sprintf("%q;q=%d", name, p.Limit)
	if p.Window%time.Second == 0 {
		policy += fmt.Sprintf(";w=%d", p.Window/time.Second)
	}
	h.Add("RateLimit-Policy", policy)
	effective := d.ResetAfter
	if !d.Allowed {
		effective = d.RetryAfter // the two fields should name the same moment
		SetRetryAfter(h, d.RetryAfter)
	}
	h.Add("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", name, d.Remaining, wholeSeconds(effective)))
}

// SetRetryAfter sets Retry-After to whole seconds, rounded up and at least one, unless it is longer already.
func SetRetryAfter(h http.Header, after time.Duration) {
	seconds := max(1, wholeSeconds(after))
	if present, err := strconv.ParseInt(strings.TrimSpace(h.Get("Retry-After")), 10, 64); err == nil && present >= seconds {
		return
	}
	h.Set("Retry-After", strconv.FormatInt(seconds, 10))
}

func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
