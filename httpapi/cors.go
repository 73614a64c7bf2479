package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Clients that are programs in a browser ask from origins of their own (RFC 10017). What they ask goes by no cookie, so any
// origin may read the answers, without credentials of the browser's: those of routes that are marked so, by path.

// share lets programs of any origin read the answer to a request, if its path is one of those.
func (s *site) share(x *exchange) {
	r := x.Request()
	if !s.shared[r.URL.Path] {
		return
	}
	h := x.header()
	h.Set(echo.HeaderAccessControlAllowOrigin, "*")
	if r.Method == http.MethodOptions {
		h.Set(echo.HeaderAccessControlAllowMethods, "GET, POST")
		h.Set(echo.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, DPoP")
		h.Set(echo.HeaderAccessControlMaxAge, "600") // seconds
		return
	}
	h.Set(echo.HeaderAccessControlExposeHeaders, "DPoP-Nonce, Retry-After, WWW-Authenticate")
}

// sharedPaths are those of an authorization server.
func sharedPaths() map[string]bool {
	return map[string]bool{
		pathToken: true, pathUserinfo: true, pathRevoke: true, pathJWKS: true,
		"/.well-known/oauth-authorization-server": true, "/.well-known/openid-configuration": true,
	}
}
