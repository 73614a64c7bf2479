package tokentest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
)

// The cases of this file are requests that hold the good token, but not in the one Authorization header of the Bearer scheme.

// authorization is a request with these Authorization headers, unless it is that of a case with a hostile token.
func (c *corpus) authorization(name string, values ...string) {
	if raw, ok := strings.CutPrefix(values[0], "Bearer "); ok && len(values) == 1 && c.seen[raw] {
		return
	}
	c.ask(name, Request{Header: http.Header{"Authorization": values}})
}

// schemes: the header is there, and is not "Bearer" and one token.
func (c *corpus) schemes() {
	c.about("scheme", "RFC 6750 section 2.1; RFC 9110 section 11.4")
	good := c.Good
	for _, value := range []string{
		"", " ", "Bearer", "Bearer ", "Bearer  ", good, "Bearer" + good, "Bearer:" + good, "Bearer: " + good, "Bearer=" + good, "Bearer\t" + good, "Bearer,", "Bearer," + good, "Bearer " + good + ",", "Bearer ," + good, "Bearer " + good + ";",
		"Bearer " + good + " " + good, "Bearer " + good + ", Bearer " + good, "Bearer " + good + ",Bearer " + good, "Bearer x, Bearer " + good, "Bearer " + good + ", Bearer x", "Basic YTpi, Bearer " + good, "Bearer " + good + ", Basic YTpi",
		"Bearer Bearer " + good, "Bearer Bearer", "Bearer token=" + good, `Bearer token="` + good + `"`, `Bearer realm="a", token="` + good + `"`, "Bearer access_token=" + good, "Bearer " + good + " realm=a", "Bearer " + good + `, error="none"`,
		`Bearer "` + good + `"`, "Bearer '" + good + "'", "Bearer <" + good + ">", "Bearer (" + good + ")", `"Bearer" ` + good, "Bearer%20" + good, "Bearer%09" + good, "Bearer+" + good, "Bearer_" + good, "Bearer/" + good, "Bearer\u00a0" + good, "Bearer\u2003" + good,
		"Bearer\v" + good, "Bearer\f" + good, "Bearer\x00" + good, "Bearer\r\n " + good, "Bearer\n" + good, "Bearer \t" + good, "\ufeffBearer " + good, "Ｂearer " + good, "Веаrеr " + good, "Bearer\u200b " + good, "Be arer " + good, "Bearers " + good, "XBearer " + good, "Beare " + good,
		"Basic " + good, "Basic " + base64.StdEncoding.EncodeToString([]byte(good+":")), "Basic " + base64.StdEncoding.EncodeToString([]byte(":"+good)), "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+good)), "Digest " + good, "Negotiate " + good,
		"NTLM " + good, "DPoP " + good, "MAC " + good, "HOBA " + good, "Mutual " + good, "Token " + good, "token " + good, "JWT " + good, "jwt " + good, "Jwt " + good, "OAuth " + good, "OAuth2 " + good, "ApiKey " + good, "AWS4-HMAC-SHA256 Credential=" + good, "GNAP " + good, "PrivateToken " + good, "Session " + good,
		"Bearer " + base64.StdEncoding.EncodeToString([]byte(good)), "Bearer " + good + "\r\nX-A: b",
	} {
		name := strings.NewReplacer(good, "TOKEN", base64.StdEncoding.EncodeToString([]byte(good)), "BASE64").Replace(value)
		c.authorization(printable(name), value)
	}
}

// severalHeaders: two readers may choose two of them.
func (c *corpus) severalHeaders() {
	c.about("several-headers", "RFC 9110 section 5.3")
	good, bad := "Bearer "+c.Good, "Bearer "+unsigned(c.header.set("alg", `"none"`), c.claims)
	c.authorization("good-good", good, good)
	c.authorization("good-bad", good, bad)
	c.authorization("bad-good", bad, good)
	c.authorization("good-empty", good, "")
	c.authorization("empty-good", "", good)
	c.authorization("good-Basic", good, "Basic YTpi")
	c.authorization("Basic-good", "Basic YTpi", good)
	c.authorization("good-DPoP", good, "DPoP "+c.Good)
	c.authorization("Bearer-good", "Bearer", good)
	c.authorization("three", bad, good, bad)
	c.authorization("twenty", append(strings.Split(strings.Repeat(bad+"|", 19), "|")[:19], good)...)
}

// otherHeaders: some gateways pass a token on in these; whoever sends them to a service directly has no gateway. A service
// that believes them in what they say of the user needs no token at all.
func (c *corpus) otherHeaders() {
	c.about("other-header", "RFC 6750 section 2; OWASP ASVS 4.1.3")
	for _, name := range []string{
		"X-Authorization", "X-Auth-Token", "X-Access-Token", "X-Forwarded-Authorization", "X-Forwarded-Access-Token", "X-Auth-Request-Access-Token", "X-Original-Authorization", "Proxy-Authorization", "X-Id-Token", "X-Jwt-Assertion",
		"X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken", "Cf-Access-Jwt-Assertion", "X-Goog-Iap-Jwt-Assertion", "X-Ms-Token-Aad-Access-Token", "Access-Token", "Token", "Auth", "Authentication", "Authorisation", "Www-Authenticate", "X-Api-Key", "X-Http-Authorization",
		"Http_authorization", "X-Csrf-Token", "Authorization_", "Dpop", "X-Bearer", "Bearer", "Sec-Websocket-Protocol", "Referer", "Forwarded", "From", "X-Original-Url", "Authentication-Info",
	} {
		value := "Bearer " + c.Good
		if name == "Sec-Websocket-Protocol" {
			value = "base64url.bearer.authorization.k8s.io." + encode(c.Good)
		}
		c.ask(name+"/alone", Request{Header: http.Header{name: {value}}})
		c.ask(name+"/bare", Request{Header: http.Header{name: {c.Good}}})
		c.ask(name+"/beside-Basic", Request{Header: http.Header{name: {value}, "Authorization": {"Basic YTpi"}}})
		c.ask(name+"/beside-a-bad-one", Request{Header: http.Header{name: {value}, "Authorization": {"Bearer " + unsigned(c.header.set("alg", `"none"`), c.claims)}}})
	}
	for _, name := range []string{
		"X-Auth-Subject", "X-Auth-Session", "X-Auth-Scope", "X-Auth-Roles", "X-Auth-User", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Remote-User", "Remote-User", "X-Authenticated-User", "X-Authenticated-Userid", "X-Webauth-User", "X-User", "X-User-Id", "X-Userinfo",
		"X-Consumer-Username", "X-Auth-Request-User", "X-Auth-Request-Email", "X-Client-Cert", "X-Ssl-Client-S-Dn", "X-Ssl-Client-Verify", "X-Forwarded-Client-Cert", "X-Middleware-Subrequest", "X-Internal", "X-Admin", "Ssl-Client-Verify", "X-Spiffe-Id",
	} {
		c.ask(name+"/believed", Request{Header: http.Header{name: {"admin"}}})
	}
	for _, name := range []string{"X-Http-Method-Override", "X-Method-Override", "X-Http-Method"} {
		c.ask(name+"/OPTIONS", Request{Header: http.Header{name: {"OPTIONS"}}})
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "True-Client-Ip", "Client-Ip", "X-Client-Ip", "Cf-Connecting-Ip"} {
		c.ask(name+"/loopback", Request{Header: http.Header{name: {"127.0.0.1"}}})
	}
}

// parameters: URLs are logged, and forms are read by whom it does not concern.
func (c *corpus) parameters() {
	c.about("parameter", "RFC 9700 section 4.3.2; RFC 6750 sections 2.2 and 2.3")
	bad := http.Header{"Authorization": {"Bearer " + unsigned(c.header.set("alg", `"none"`), c.claims)}}
	const formType = "application/x-www-form-urlencoded"
	for _, name := range []string{
		"access_token", "ACCESS_TOKEN", "accessToken", "token", "bearer_token", "bearer", "jwt", "id_token", "auth", "auth_token", "authorization", "Authorization", "assertion", "client_assertion", "api_key", "key", "session", "oauth_token", "code", "access_token[]", "_token",
	} {
		pair := url.QueryEscape(name) + "=" + c.Good
		c.ask("query/"+name, Request{Query: pair})
		c.ask("form/"+name, Request{ContentType: formType, Body: pair})
		c.ask("query-with-Bearer/"+name, Request{Query: url.QueryEscape(name) + "=Bearer+" + c.Good})
		c.ask("JSON/"+name, Request{ContentType: "application/json", Body: `{` + quote(name) + `:` + quote(c.Good) + `}`})
	}
	pair := "access_token=" + c.Good
	c.ask("query/beside-a-bad-header", Request{Header: bad, Query: pair})
	c.ask("form/beside-a-bad-header", Request{Header: bad, ContentType: formType, Body: pair})
	c.ask("query/twice", Request{Query: pair + "&" + pair})
	c.ask("query/after-a-bad-one", Request{Query: "access_token=x&" + pair})
	c.ask("query/after-a-semicolon", Request{Query: "a=b;" + pair})
	c.ask("query/and-form", Request{Query: pair, ContentType: formType, Body: pair})
	c.ask("query/escaped-name", Request{Query: "access%5Ftoken=" + c.Good})
	c.ask("query/bare", Request{Query: c.Good})
	c.ask("form/charset", Request{ContentType: formType + "; charset=utf-8", Body: pair})
	c.ask("form/multipart", Request{
		ContentType: "multipart/form-data; boundary=b",
		Body:        "--b\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n" + c.Good + "\r\n--b--\r\n",
	})
	c.ask("body/token", Request{ContentType: "application/jwt", Body: c.Good})
	c.ask("body/text", Request{ContentType: "text/plain", Body: "Authorization: Bearer " + c.Good})
}

// cookies: not the one cookie in which the verifier takes tokens, or not that one alone.
func (c *corpus) cookies() {
	c.about("cookie", "RFC 6265 section 4.1; RFC 6265bis section 4.1.3")
	cookie := func(name, value string) { c.ask(name, Request{Header: http.Header{"Cookie": {value}}}) }
	for _, name := range []string{
		"access_token", "accessToken", "token", "jwt", "JWT", "id_token", "session", "sessionid", "auth", "authorization", "Authorization", "bearer", "authd", "authd_access", "AUTHD_ACCESS", "__Secure-authd_access", "__Secure-access_token", "__Host-access_token", "__Host-authd_refresh", "_oauth2_proxy", "remember_me", "X-Auth-Token",
	} {
		if name != c.Cookie {
			cookie("name/"+name, name+"="+c.Good)
			cookie("name-with-Bearer/"+name, name+"=Bearer "+c.Good)
		}
	}
	if c.Cookie == "" {
		return
	}
	own, bad := c.Cookie+"="+c.Good, c.Cookie+"="+unsigned(c.header.set("alg", `"none"`), c.claims)
	cookie("own/twice", own+"; "+own)
	cookie("own/after-a-bad-one", bad+"; "+own)
	cookie("own/before-a-bad-one", own+"; "+bad)
	cookie("own/after-an-empty-one", c.Cookie+"=; "+own)
	cookie("own/empty", c.Cookie+"=")
	cookie("own/with-Bearer", c.Cookie+"=Bearer "+c.Good)
	cookie("own/without-equals", c.Cookie+" "+c.Good)
	cookie("own/inside-another", "a="+own)
	cookie("own/comma", "a=b, "+own)
	for _, spelt := range []string{strings.ToLower(c.Cookie), strings.ToUpper(c.Cookie), strings.TrimPrefix(c.Cookie, "__Host-"), "__Host-" + c.Cookie, c.Cookie + "_", "$" + c.Cookie, url.QueryEscape(strings.Replace(c.Cookie, "_", "%5F", 1)), "." + c.Cookie} {
		if spelt != c.Cookie {
			cookie("own-spelt/"+spelt, spelt+"="+c.Good)
		}
	}
	c.ask("own/two-headers", Request{Header: http.Header{"Cookie": {own, own}}})
	c.ask("own/two-headers-bad-first", Request{Header: http.Header{"Cookie": {bad, own}}})
	c.ask("own/as-Set-Cookie", Request{Header: http.Header{"Set-Cookie": {own}}})
	c.ask("own/as-Cookie2", Request{Header: http.Header{"Cookie2": {own}}})
	for name, value := range map[string]string{
		"Basic": "Basic YTpi", "bad-Bearer": "Bearer " + unsigned(c.header.set("alg", `"none"`), c.claims), "empty": "", "Bearer-alone": "Bearer", "DPoP": "DPoP " + c.Good,
	} {
		c.ask("own/beside-Authorization/"+name, Request{Header: http.Header{"Cookie": {own}, "Authorization": {value}}})
	}
}
