package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// The cookies of cookie mode. The prefix makes browsers refuse them unless they are Secure, for this host alone and for
// the whole of it, so that a neighbour on another subdomain cannot plant one.
const (
	accessCookie  = "__Host-authd_access"
	refreshCookie = "__Host-authd_refresh"
)

// setCookies hands the tokens to a browser. Both are Lax: a link from elsewhere finds its reader signed in, also when the
// access cookie has expired and a page renews it. What is not a link, a form or a script from elsewhere, comes without them.
func (p *public) setCookies(x *exchange, access string, accessLife time.Duration, refresh string) {
	putCookie(x, newCookie(accessCookie, access, accessLife))
	putCookie(x, newCookie(refreshCookie, refresh, p.cfg.RefreshLife))
}

// clearCookies removes both.
func clearCookies(x *exchange) {
	putCookie(x, newCookie(accessCookie, "", -1))
	putCookie(x, newCookie(refreshCookie, "", -1))
}

// putCookie sets a cookie in place of what the answer may have for its name already.
func putCookie(x *exchange, c *http.Cookie) {
	h := x.header()
	h["Set-Cookie"] = slices.DeleteFunc(h["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, c.Name+"=") })
	x.SetCookie(c)
}

// newCookie makes a cookie that lives that long; a negative life removes it.
func newCookie(name, value string, life time.Duration) *http.Cookie {
	seconds := int(life / time.Second)
	if life <= 0 {
		seconds = -1
	}
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// cookie returns a cookie's value, or "". Two of one name are refused: who reads the first and who reads the last would
// see two users.
func cookie(r *http.Request, name string) (string, error) {
	switch found := r.CookiesNamed(name); len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0].Value, nil
	default:
		return "", errManyCredentials
	}
}
