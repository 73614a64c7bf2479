package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/oauth"
)

// RFC 9700 section 4.5: a stolen code is worth nothing without all that belongs to it, and trying it spoils nothing.
func TestInjectedCodes(t *testing.T) {
	e := newProvider(t)
	code := e.loggedIn().code()
	other := strings.Repeat("x", 43)
	for name, a := range map[string]answer{
		"another client":       e.asClient("mail", exchange(code)),
		"a public client":      e.do(request{method: "POST", path: "/oauth2/token", form: exchange(code, "client_id=spa").Encode()}),
		"another redirect URI": e.asClient("shop", exchange(code, "redirect_uri=https://shop.example/callback/")),
		"no redirect URI":      e.asClient("shop", exchange(code, "redirect_uri")),
		"another verifier":     e.asClient("shop", exchange(code, "code_verifier="+other)),
		"no verifier":          e.asClient("shop", exchange(code, "code_verifier")),
		"the challenge":        e.asClient("shop", exchange(code, "code_verifier="+codeChallenge)),
		"a changed code":       e.asClient("shop", exchange(flip(code))),
		"a code cut short":     e.asClient("shop", exchange(code[:len(code)-4])),
		"a longer code":        e.asClient("shop", exchange(code+"AAAA")),
		"a line break":         e.asClient("shop", exchange(code+"\n")),
		"no code":              e.asClient("shop", exchange("")),
		"a huge code":          e.asClient("shop", exchange(strings.Repeat("A", 60<<10))),
		"a token":              e.asClient("shop", exchange(e.loginAlice().AccessToken)),
		"a refresh token":      e.asClient("shop", exchange(e.loginAlice().RefreshToken)),
	} {
		t.Run(name, func(t *testing.T) { wantOAuthError(t, a, http.StatusBadRequest, "invalid_grant") })
	}
	e.wantGood(e.tokensOf(e.asClient("shop", exchange(code))).AccessToken)
}

// A code is good for a minute, and then is no better than none.
func TestCodeExpires(t *testing.T) {
	clock := &movableClock{}
	e := newProvider(t, options{public: func(c *httpapi.PublicConfig) { c.Now = clock.now }})
	u := e.loggedIn()
	late, inTime := u.code(), u.code()
	clock.forward(50 * time.Second)
	e.wantGood(e.tokensOf(e.asClient("shop", exchange(inTime))).AccessToken)
	clock.forward(11 * time.Second)
	wantOAuthError(t, e.asClient("shop", exchange(late)), http.StatusBadRequest, "invalid_grant")
}

// flip changes one character in the middle.
func flip(s string) string {
	b := []byte(s)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}

// RFC 6749 section 4.1.2: a code works once. Who presents it again ends what it began.
func TestCodeIsReplayed(t *testing.T) {
	e := newProvider(t)
	code := e.loggedIn().code()
	g := e.tokensOf(e.asClient("shop", exchange(code)))
	e.wantGood(g.AccessToken)
	for range 2 {
		wantOAuthError(t, e.asClient("shop", exchange(code)), http.StatusBadRequest, "invalid_grant")
	}
	e.wantRefused(g.AccessToken)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {g.RefreshToken}}
	wantOAuthError(t, e.asClient("shop", form), http.StatusBadRequest, "invalid_grant")
}

// Of many that come at once one gets tokens at most, and those die with the second.
func TestCodeIsReplayedAtOnce(t *testing.T) {
	e := newProvider(t)
	code := e.loggedIn().code()
	answers := make([]answer, 6)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = e.asClient("shop", exchange(code)) })
	}
	wg.Wait()
	for _, a := range answers {
		switch a.status {
		case http.StatusOK:
			e.wantRefused(e.tokensOf(a).AccessToken)
		case http.StatusBadRequest: // or 503, for the one whose session ended before its tokens were made
			wantOAuthError(t, a, http.StatusBadRequest, "invalid_grant")
		default:
			wantStatus(t, a, http.StatusServiceUnavailable)
		}
	}
}

// RFC 9700 section 4.4: with two servers, the client knows by "iss" whose answer it is. And no answer goes to the address
// of another client than that which asked.
func TestMixUp(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	for _, changes := range [][]string{{}, {"prompt=none", "max_age=0", "acr_values=aal2"}, {"response_type=token"}, {"scope=email"}} {
		if q := response(t, u.get(askFor(changes...)), shopURI); q.Get("state") != "af0ifjsldkj" {
			t.Errorf("%v: %v", changes, q)
		}
	}
	for name, path := range map[string]string{
		"the address of another client": askFor("client_id=mail"),
		"no client":                     askFor("client_id"),
		"two clients":                   askFor() + "&client_id=mail",
		"two addresses":                 askFor() + "&redirect_uri=https://evil.example/",
		"an address of nobody":          askFor("redirect_uri=https://evil.example/"),
		"an unfinished escape":          askFor() + "&x=%zz",
		"semicolons":                    askFor() + ";redirect_uri=https://evil.example/",
		"too many parameters":           askFor() + strings.Repeat("&x", 1) + many(80),
	} {
		a := u.get(path)
		wantPage(t, a, http.StatusBadRequest, "The request was not understood")
		if a.header.Get("Location") != "" || strings.Contains(a.body, "evil") {
			t.Errorf("%s: to %q, %s", name, a.header.Get("Location"), a.body)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("&p" + strings.Repeat("x", i) + "=1")
	}
	return b.String()
}

// T13, the list of research/security.md: nothing that the client did not register, and no 307 or 308 anywhere.
func TestOpenRedirects(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	for _, uri := range []string{
		"//evil.example", `/\evil.example`, "/%09/evil.example", "https:evil.example", `\\evil.example`, "/a/../..//evil.example",
		"javascript:alert(1)", "https://shop.example@evil.example/callback", "https://shop.example.evil.example/callback",
		shopURI + "/../../evil", shopURI + "%0d%0aSet-Cookie:a=b", shopURI + "#@evil.example", " " + shopURI, "https://SHOP.example/callback",
	} {
		for _, path := range []string{askFor("redirect_uri=" + uri), endSession("client_id=shop", "post_logout_redirect_uri="+uri)} {
			if a := u.get(path); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
				t.Errorf("%q: status %d to %q", uri, a.status, a.header.Get("Location"))
			}
		}
		// By way of the login page, neither.
		page := u.get("/login?reauth=1&return_to=" + url.QueryEscape(uri))
		if next := hidden(page.body).Get("return_to"); next != "/account" {
			t.Errorf("%q: a login leads to %q", uri, next)
		}
	}
	form := credentials(aliceName, alicePassword, "return_to", askFor())
	if a := u.post("/login", form); a.status == http.StatusTemporaryRedirect || a.status == http.StatusPermanentRedirect {
		t.Errorf("status %d after a password", a.status)
	}
}

// T6: neither the session of a client nor the code can be chosen or planted.
func TestNothingIsFixed(t *testing.T) {
	e := newProvider(t)
	mallory := e.person()
	wantRedirect(t, mallory.post("/login", credentials(bobName, bobPassword)), "/account")
	planted := mallory.cookies[ownCookie].Value
	u := e.person()
	for name, c := range mallory.cookies { // as if she had them in the victim's browser
		u.cookies[name] = c
	}
	u.signsIn(u.get(askFor("prompt=login")))
	g := e.tokensOf(e.asClient("shop", exchange(u.code())))
	if claims := claimsOf(t, g.AccessToken); claims["sub"] != e.alice.Subject {
		t.Errorf("the client got somebody else: %v", claims)
	}
	e.wantRefused(planted)
	// A second request of the same browser gets a session of its own.
	again := e.tokensOf(e.asClient("shop", exchange(u.code("nonce=other"))))
	if claimsOf(t, g.AccessToken)["sid"] == claimsOf(t, again.AccessToken)["sid"] {
		t.Error("two codes began one session")
	}
	// A client's own token is no session of a browser.
	stolen := e.person()
	stolen.cookies[ownCookie] = &http.Cookie{Name: ownCookie, Value: g.AccessToken}
	if a := stolen.get(askFor()); !strings.HasPrefix(a.header.Get("Location"), "/login?") {
		t.Errorf("a token of a client in the cookie leads to %q", a.header.Get("Location"))
	}
}

// The mark of a request that went by way of the login page is nobody's to make, and good for that request alone.
func TestMarksOfLogins(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	page, err := url.Parse(u.get(askFor("prompt=login")).header.Get("Location"))
	must(t, err)
	back, err := url.Parse(page.Query().Get("return_to"))
	must(t, err)
	mark := back.Query().Get("authd_since")
	wantRedirect(t, u.post("/login", credentials(aliceName, alicePassword)), "/account") // so that the mark lies before the login
	for name, path := range map[string]string{
		"made up":         askFor("prompt=login", "authd_since=eyJ0IjowfQ"),
		"changed":         askFor("prompt=login", "authd_since="+flip(mark)),
		"another request": askFor("prompt=login", "state=other", "authd_since="+mark),
	} {
		if a := u.get(path); !strings.HasPrefix(a.header.Get("Location"), "/login?") {
			t.Errorf("%s: status %d to %q", name, a.status, a.header.Get("Location"))
		}
	}
	if response(t, u.get(back.String()), shopURI).Get("code") == "" {
		t.Error("the request itself gets no code")
	}
}

func TestTokenRequestsThatAreWrong(t *testing.T) {
	e := newProvider(t)
	good := exchange(e.loggedIn().code())
	post := func(form string, header http.Header) answer {
		return e.do(request{method: "POST", path: "/oauth2/token", form: form, header: header})
	}
	basic := func(id, secret string) http.Header {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return r.Header
	}
	with := func(changes ...string) string { return changed(exchange(good.Get("code")), changes...).Encode() }
	both := basic("shop", clientSecret)
	both["Content-Type"] = []string{"application/json"}
	packed := basic("shop", clientSecret)
	packed["Content-Encoding"] = []string{"gzip"}
	for name, tt := range map[string]struct {
		a      answer
		status int
		code   string
	}{
		"no client":              {post(with(), nil), 401, "invalid_client"},
		"unknown client":         {post(with(), basic("nobody", clientSecret)), 401, "invalid_client"},
		"wrong secret":           {post(with(), basic("shop", "wrong")), 401, "invalid_client"},
		"no secret":              {post(with(), basic("shop", "")), 401, "invalid_client"},
		"secret of a public one": {post(with("client_id=spa", "client_secret=x"), nil), 401, "invalid_client"},
		"no secret in the form":  {post(with("client_id=shop"), nil), 401, "invalid_client"},
		"bearer":                 {post(with(), http.Header{"Authorization": {"Bearer x"}}), 401, "invalid_client"},
		"assertion":              {post(with("client_id=shop", "client_assertion=eyJ"), nil), 401, "invalid_client"},
		"two credentials":        {post(with("client_id=shop", "client_secret="+clientSecret), basic("shop", clientSecret)), 400, "invalid_request"},
		"two clients":            {post(with("client_id=mail"), basic("shop", clientSecret)), 400, "invalid_request"},
		"two headers": {post(with(), http.Header{
			"Authorization": {basic("shop", clientSecret).Get("Authorization"), basic("mail", clientSecret).Get("Authorization")},
		}), 400, "invalid_request"},
		"two codes":      {post(with()+"&code=x", basic("shop", clientSecret)), 400, "invalid_request"},
		"two grants":     {post(with()+"&grant_type=refresh_token", basic("shop", clientSecret)), 400, "invalid_request"},
		"no grant":       {post(with("grant_type"), basic("shop", clientSecret)), 400, "invalid_request"},
		"JSON":           {post(with(), both), 415, "invalid_request"},
		"packed":         {post(with(), packed), 415, "invalid_request"},
		"no form":        {post("a=%zz", basic("shop", clientSecret)), 400, "invalid_request"},
		"huge":           {post("a="+strings.Repeat("x", 70<<10), basic("shop", clientSecret)), 413, "invalid_request"},
		"password grant": {post("grant_type=password&username=alice&password="+url.QueryEscape(alicePassword), basic("shop", clientSecret)), 400, "unsupported_grant_type"},
		"implicit grant": {post("grant_type=implicit", basic("shop", clientSecret)), 400, "unsupported_grant_type"},
	} {
		t.Run(name, func(t *testing.T) {
			wantOAuthError(t, tt.a, tt.status, tt.code)
			if c := tt.a.header.Get("WWW-Authenticate"); tt.status == 401 && !strings.HasPrefix(c, "Basic ") {
				t.Errorf("challenge %q", c)
			}
		})
	}
	// Credentials in the query are nothing, and a GET is no way to get tokens.
	wantOAuthError(t, e.do(request{method: "POST", path: "/oauth2/token?client_id=shop&client_secret=" + clientSecret, form: with()}),
		http.StatusUnauthorized, "invalid_client")
	wantStatus(t, e.do(request{method: "GET", path: "/oauth2/token?" + with()}), http.StatusMethodNotAllowed)
	e.tokensOf(e.asClient("shop", good))
}

// No secret, code or token is in the log.
func TestOAuthSecretsAreNotLogged(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	code := u.code()
	g := e.tokensOf(e.asClient("shop", exchange(code)))
	wantOAuthError(t, e.asClient("shop", exchange(code)), http.StatusBadRequest, "invalid_grant")
	u.get(endSession("id_token_hint=" + g.IDToken))
	u.get(askFor("client_id=nobody", "state=the-state-of-a-client"))
	log := e.log.String()
	for name, secret := range map[string]string{
		"secret": clientSecret, "code": code, "verifier": codeVerifier, "access token": g.AccessToken[20:], "refresh token": g.RefreshToken[20:],
		"ID token": g.IDToken[20:], "state": "the-state-of-a-client",
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has the %s", name)
		}
	}
}

// A client that is a program in a browser reads answers from its own origin, and from no other route; cookies are nothing
// there.
func TestClientsInBrowsers(t *testing.T) {
	e := newProvider(t)
	for path, want := range map[string]string{
		"/oauth2/token": "*", "/oauth2/userinfo": "*", "/oauth2/revoke": "*", "/.well-known/openid-configuration": "*",
		"/.well-known/jwks.json": "*", "/oauth2/introspect": "", "/v1/me": "", "/v1/login": "", "/oauth2/authorize": "", "/login": "",
	} {
		ask := e.do(request{method: "OPTIONS", path: path, header: http.Header{
			"Origin": {"https://spa.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"dpop"},
		}})
		if got := ask.header.Get("Access-Control-Allow-Origin"); got != want || ask.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: preflight %d allows %q", path, ask.status, got)
		}
		if headers := ask.header.Get("Access-Control-Allow-Headers"); strings.Contains(headers, "DPoP") != (want != "") {
			t.Errorf("%s: preflight allows the headers %q", path, headers)
		}
		a := e.do(request{method: "GET", path: path, header: http.Header{"Origin": {"https://spa.example"}}})
		if got := a.header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: %d allows %q", path, a.status, got)
		}
	}
	if got := newEnv(t).do(request{method: "GET", path: "/.well-known/jwks.json"}).header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("without clients the keys allow %q", got)
	}
}

func TestOAuthWithoutItsParts(t *testing.T) {
	c := newEnv(t).publicConfig
	c.OAuth, c.Pages = &httpapi.OAuth{}, nil
	_, err := httpapi.NewPublic(c)
	for _, want := range []string{"oauth: clients", "oauth: sessions", "oauth: keys", "oauth: pages"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

// Whatever comes to the token endpoint, it answers with an error of its own and never with a token, and does not fail.
func FuzzTokenEndpoint(f *testing.F) {
	e := newProvider(f)
	code := e.loggedIn().code("scope=orders:read")
	for _, seed := range []string{
		exchange("x").Encode(), exchange(flip(code)).Encode(), "grant_type=refresh_token&refresh_token=authd_rt_AQ", exchangeForm("eyJ.eyJ.x").Encode(),
		"grant_type=authorization_code&code=" + code, "grant_type=" + oauth.GrantExchange, "client_id=spa&grant_type=authorization_code", "%", "&&==&",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		if strings.Contains(form, "code_verifier="+codeVerifier) && strings.Contains(form, code) {
			return
		}
		req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth2/token", strings.NewReader(form+"&x=1"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("shop", clientSecret)
		a := httptest.NewRecorder()
		e.public.ServeHTTP(a, req)
		if a.Code/100 != 4 || strings.Contains(a.Body.String(), "access_token") {
			t.Fatalf("%q: %d %s", form, a.Code, a.Body)
		}
	})
}
