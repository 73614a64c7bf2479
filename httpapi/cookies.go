package httpapi

import (
	"net/http"
	"time"
)

// The cookies of cookie mode. The prefix makes browsers refuse them unless they are Secure, for this host alone and for
// the whole of it, so that a neighbour on another subdomain cannot plant one.
const (
	accessCookie  = "__Host-authd_access"
	refreshCookie = "__Host-authd_refresh"
)

// setCookies hands the tokens to a browser. The access cookie is Lax, so that a link from elsewhere finds its reader
// logged in; the refresh cookie is Strict, since only the page itself refreshes.
func (p *public) setCookies(x *exchange, access string, accessLife time.Duration, refresh string) {
	x.SetCookie(newCookie(accessCookie, access, accessLife, http.SameSiteLaxMode))
	x.SetCookie(newCookie(refreshCookie, refresh, p.cfg.RefreshLife, http.SameSiteStrictMode))
}

// clearCookies removes both.
func clearCookies(x *exchange) {
	x.SetCookie(newCookie(accessCookie, "", -1, http.SameSiteLaxMode))
	x.SetCookie(newCookie(refreshCookie, "", -1, http.SameSiteStrictMode))
}

// newCookie makes a cookie that lives that long; a negative life removes it.
func newCookie(name, value string, life time.Duration, site http.SameSite) *http.Cookie {
	seconds := int(life / time.Second)
	if life <= 0 {
		seconds = -1
	}
	return &http.Cookie{ //nolint:gosec // site is Lax or Strict
		Name: name, Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: site,
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
