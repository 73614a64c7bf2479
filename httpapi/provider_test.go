package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// A person who is not logged in is asked to, comes back to the client with a code, and that begins a session of the client.
func TestCodeFlow(t *testing.T) {
	e := newProvider(t)
	u := e.person()
	back := u.signsIn(u.get(askFor()))
	q := response(t, u.get(back), shopURI)
	if q.Get("state") != "af0ifjsldkj" || q.Has("error") {
		t.Errorf("parameters %v", q)
	}
	g := e.tokensOf(e.asClient("shop", exchange(q.Get("code"))))
	if g.TokenType != "Bearer" || g.Scope != "openid profile orders:read" || g.RefreshToken == "" || g.ExpiresIn < 500 {
		t.Errorf("granted %+v", g)
	}
	e.wantGood(g.AccessToken)
	claims := claimsOf(t, g.AccessToken)
	if claims["client_id"] != "shop" || claims["sub"] != e.alice.Subject || claims["acr"] != "aal1" {
		t.Errorf("claims %v", claims)
	}
	browser := claimsOf(t, u.cookies[ownCookie].Value)
	if claims["sid"] == browser["sid"] {
		t.Error("the client has the session of the browser")
	}
	if claims["auth_time"] != browser["auth_time"] {
		t.Errorf("auth_time %v, of the browser %v", claims["auth_time"], browser["auth_time"])
	}
}

// go-oidc shares no code with authd: it finds everything by discovery and checks the ID token.
func TestIDTokenByGoOIDC(t *testing.T) {
	e := newProvider(t)
	g := e.tokensOf(e.asClient("shop", exchange(e.loggedIn().code())))
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: at{e.publicURL, e.http.Transport}})
	provider, err := oidc.NewProvider(ctx, issuerURL)
	must(t, err)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "shop"}).Verify(ctx, g.IDToken)
	must(t, err)
	must(t, id.VerifyAccessToken(g.AccessToken))
	var claims struct {
		SID, ACR, AZP string
		AMR, Roles    []string
		Username      string `json:"preferred_username"`
		AuthTime      int64  `json:"auth_time"`
	}
	must(t, id.Claims(&claims))
	if id.Nonce != "n-0S6_WzA2Mj" || id.Subject != e.alice.Subject || claims.Username != aliceName || quoted(claims.Roles) != `["editor"]` ||
		quoted(claims.AMR) != `["pwd"]` || claims.ACR != "aal1" || claims.AZP != "shop" ||
		claims.SID != claimsOf(t, g.AccessToken)["sid"] || time.Since(time.Unix(claims.AuthTime, 0)) > time.Minute {
		t.Errorf("ID token %+v, %+v", id, claims)
	}
	// An ID token is for the client to read; nobody takes it for an access token.
	e.wantRefused(g.IDToken)
	wantStatus(t, e.do(request{method: "GET", path: "/oauth2/userinfo", bearer: g.IDToken}), http.StatusUnauthorized)
	if e.introspect(g.IDToken).Active {
		t.Error("an ID token is active as an access token")
	}
}

func TestCodeWithoutOpenID(t *testing.T) {
	e := newProvider(t)
	g := e.tokensOf(e.asClient("shop", exchange(e.loggedIn().code("scope=orders:read"))))
	if g.IDToken != "" || g.Scope != "orders:read" {
		t.Errorf("granted %+v", g)
	}
	a := e.do(request{method: "GET", path: "/oauth2/userinfo", bearer: g.AccessToken})
	wantProblem(t, a, http.StatusForbidden, "insufficient_scope")
	if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
		t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
	}
}

func TestPublicClient(t *testing.T) {
	e := newProvider(t)
	form := exchange(e.loggedIn().code("client_id=spa", "redirect_uri=https://spa.example/"), "client_id=spa", "redirect_uri=https://spa.example/")
	// A page of another origin, and no cookie.
	g := e.tokensOf(e.do(request{method: "POST", path: "/oauth2/token", form: form.Encode(), header: http.Header{
		"Origin": {"https://spa.example"}, "Sec-Fetch-Site": {"cross-site"},
	}}))
	e.wantGood(g.AccessToken)
}

func TestSecretInTheForm(t *testing.T) {
	e := newProvider(t)
	form := exchange(e.loggedIn().code(), "client_id=shop", "client_secret="+clientSecret)
	e.tokensOf(e.do(request{method: "POST", path: "/oauth2/token", form: form.Encode()}))
}

func TestUserinfo(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	g := e.tokensOf(e.asClient("shop", exchange(u.code())))
	for _, method := range []string{"GET", "POST"} {
		a := e.do(request{method: method, path: "/oauth2/userinfo", bearer: g.AccessToken, header: http.Header{"Origin": {"https://spa.example"}}})
		got := decode[map[string]any](t, a, http.StatusOK)
		if got["sub"] != e.alice.Subject || got["preferred_username"] != aliceName || quoted(got["roles"]) != `["editor"]` {
			t.Errorf("%s: %v", method, got)
		}
	}
	less := e.tokensOf(e.asClient("shop", exchange(u.code("scope=openid"))))
	got := decode[map[string]any](t, e.do(request{method: "GET", path: "/oauth2/userinfo", bearer: less.AccessToken}), http.StatusOK)
	if len(got) != 1 || got["sub"] != e.alice.Subject {
		t.Errorf("without the scope profile: %v", got)
	}
	// It is no page: a cookie is nothing to it.
	wantStatus(t, u.get("/oauth2/userinfo"), http.StatusUnauthorized)
}

func TestClientRefreshes(t *testing.T) {
	e := newProvider(t)
	g := e.tokensOf(e.asClient("shop", exchange(e.loggedIn().code())))
	refresh := func(raw string, changes ...string) url.Values {
		return changed(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {raw}}, changes...)
	}
	wantOAuthError(t, e.asClient("mail", refresh(g.RefreshToken)), http.StatusBadRequest, "invalid_grant")
	wantOAuthError(t, e.asClient("shop", refresh(g.RefreshToken, "scope=orders:write")), http.StatusBadRequest, "invalid_scope")
	wantOAuthError(t, e.asClient("shop", refresh("authd_rt_x")), http.StatusBadRequest, "invalid_grant")
	wantOAuthError(t, e.asClient("shop", refresh("")), http.StatusBadRequest, "invalid_request")
	wantStatus(t, e.do(request{method: "POST", path: "/v1/refresh", json: map[string]string{"refresh_token": g.RefreshToken}}), http.StatusUnauthorized)

	next := e.tokensOf(e.asClient("shop", refresh(g.RefreshToken)))
	e.wantGood(next.AccessToken)
	id := claimsOf(t, next.IDToken)
	if id["nonce"] != nil || id["sub"] != e.alice.Subject || id["sid"] != claimsOf(t, g.IDToken)["sid"] || id["aud"] != "shop" {
		t.Errorf("ID token of a refresh: %v", id)
	}
	less := e.tokensOf(e.asClient("shop", refresh(next.RefreshToken, "scope=orders:read")))
	if less.Scope != "orders:read" || claimsOf(t, less.AccessToken)["scope"] != "orders:read" || less.IDToken != "" {
		t.Errorf("narrowed: %+v", less)
	}
}

func TestClientCredentialsGrant(t *testing.T) {
	e := newProvider(t)
	form := url.Values{"grant_type": {"client_credentials"}}
	g := e.tokensOf(e.asClient("batch", form))
	claims := claimsOf(t, g.AccessToken)
	if claims["sub"] != "batch" || claims["client_id"] != "batch" || claims["sid"] != nil || g.Scope != "orders:read orders:write" ||
		g.RefreshToken != "" || g.IDToken != "" {
		t.Errorf("granted %+v with %v", g, claims)
	}
	e.wantGood(g.AccessToken)
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: g.AccessToken}), http.StatusUnauthorized)
	wantStatus(t, e.do(request{method: "POST", path: "/oauth2/revoke", basic: true, form: "token=" + g.AccessToken}), http.StatusOK)
	e.wantRefused(g.AccessToken)

	wantOAuthError(t, e.asClient("batch", changed(form, "scope=openid")), http.StatusBadRequest, "invalid_scope")
	wantOAuthError(t, e.asClient("batch", changed(form, "scope=orders:read admin")), http.StatusBadRequest, "invalid_scope")
	wantOAuthError(t, e.asClient("shop", changed(form, "scope")), http.StatusBadRequest, "unauthorized_client")
	wantOAuthError(t, e.asClient("batch", url.Values{"grant_type": {"password"}}), http.StatusBadRequest, "unsupported_grant_type")
}

// A client revokes what it got itself, and no more (RFC 7009).
func TestClientsRevoke(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	shop := e.tokensOf(e.asClient("shop", exchange(u.code())))
	uri := "redirect_uri=https://spa.example/"
	form := exchange(u.code("client_id=spa", uri), "client_id=spa", uri).Encode()
	spa := e.tokensOf(e.do(request{method: "POST", path: "/oauth2/token", form: form}))
	revoke := func(client, secret, raw string) answer {
		form := url.Values{"token": {raw}, "client_id": {client}, "client_secret": {secret}}
		return e.do(request{method: "POST", path: "/oauth2/revoke", form: form.Encode()})
	}
	for _, raw := range []string{shop.AccessToken, shop.RefreshToken} {
		wantOAuthError(t, revoke("mail", clientSecret, raw), http.StatusBadRequest, "unauthorized_client")
		wantOAuthError(t, revoke("spa", "", raw), http.StatusBadRequest, "unauthorized_client")
		wantOAuthError(t, revoke("shop", "wrong", raw), http.StatusUnauthorized, "invalid_client")
	}
	e.wantGood(shop.AccessToken)
	wantStatus(t, revoke("spa", "", spa.AccessToken), http.StatusOK)
	e.wantRefused(spa.AccessToken)
	wantStatus(t, revoke("shop", clientSecret, shop.RefreshToken), http.StatusOK)
	e.wantRefused(shop.AccessToken)
	for _, gone := range []string{shop.RefreshToken, shop.AccessToken, spa.AccessToken, "x", "authd_rt_x"} {
		wantStatus(t, revoke("shop", clientSecret, gone), map[bool]int{true: http.StatusBadRequest, false: http.StatusOK}[gone == spa.AccessToken])
	}
	wantOAuthError(t, revoke("shop", clientSecret, ""), http.StatusBadRequest, "invalid_request")
}

const accessTokenType = "urn:ietf:params:oauth:token-type:access_token"

func exchangeForm(raw string, changes ...string) url.Values {
	return changed(url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {raw},
		"subject_token_type": {accessTokenType}, "audience": {"warehouse"},
	}, changes...)
}

func TestTokenExchange(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	from := e.tokensOf(e.asClient("shop", exchange(u.code("scope=openid profile orders:read orders:write"))))
	g := e.tokensOf(e.asClient("stock", exchangeForm(from.AccessToken, "scope=orders:read")))
	claims := claimsOf(t, g.AccessToken)
	act, _ := claims["act"].(map[string]any)
	if claims["sub"] != e.alice.Subject || claims["aud"] != "warehouse" || claims["client_id"] != "stock" || act["sub"] != "stock" ||
		claims["scope"] != "orders:read" || g.IssuedTokenType != accessTokenType || g.RefreshToken != "" {
		t.Errorf("granted %+v with %v", g, claims)
	}
	if claims["exp"].(float64) > claimsOf(t, from.AccessToken)["exp"].(float64) {
		t.Error("it outlives the token it was exchanged for")
	}
	e.wantRefused(g.AccessToken) // authd itself is not the warehouse
	if !e.introspect(g.AccessToken).Active {
		t.Error("introspection does not know it")
	}
	if all := e.tokensOf(e.asClient("stock", exchangeForm(from.AccessToken))); all.Scope != "orders:read orders:write" {
		t.Errorf("without a scope: %q", all.Scope)
	}
	for name, tt := range map[string]struct {
		client string
		form   url.Values
		code   string
	}{
		"wider scope":       {"stock", exchangeForm(from.AccessToken, "scope=admin"), "invalid_scope"},
		"another audience":  {"stock", exchangeForm(from.AccessToken, "audience=mail"), "invalid_target"},
		"no audience":       {"stock", exchangeForm(from.AccessToken, "audience"), "invalid_target"},
		"no right":          {"shop", exchangeForm(from.AccessToken), "unauthorized_client"},
		"an ID token":       {"stock", exchangeForm(from.IDToken), "invalid_request"},
		"a refresh token":   {"stock", exchangeForm(from.RefreshToken), "invalid_request"},
		"no token":          {"stock", exchangeForm(""), "invalid_request"},
		"another type":      {"stock", exchangeForm(from.AccessToken, "subject_token_type=x"), "invalid_request"},
		"an actor":          {"stock", exchangeForm(from.AccessToken, "actor_token="+from.AccessToken), "invalid_request"},
		"requests an ID":    {"stock", exchangeForm(from.AccessToken, "requested_token_type=x"), "invalid_request"},
		"names a resource":  {"stock", exchangeForm(from.AccessToken, "resource=https://x.example/"), "invalid_target"},
		"an invented token": {"stock", exchangeForm("eyJ.eyJ.x"), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) { wantOAuthError(t, e.asClient(tt.client, tt.form), http.StatusBadRequest, tt.code) })
	}
	// The logout of the user is the end of it.
	wantStatus(t, e.do(request{method: "POST", path: "/v1/logout", bearer: from.AccessToken}), http.StatusNoContent)
	if e.introspect(g.AccessToken).Active {
		t.Error("it outlives the session")
	}
	wantOAuthError(t, e.asClient("stock", exchangeForm(from.AccessToken)), http.StatusBadRequest, "invalid_request")
}

// Who logs out of the browser logs out of every client.
func TestLogoutEndsClients(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	shop := e.tokensOf(e.asClient("shop", exchange(u.code())))
	mailURI := "redirect_uri=https://mail.example/callback"
	mail := e.tokensOf(e.asClient("mail", exchange(u.code("client_id=mail", mailURI), mailURI)))
	pending := u.code()
	wantRedirect(t, u.post("/logout", url.Values{}), "/login?done=logout")
	for _, g := range []tokens{shop, mail} {
		e.wantRefused(g.AccessToken)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {shop.RefreshToken}}
	wantOAuthError(t, e.asClient("shop", form), http.StatusBadRequest, "invalid_grant")
	wantOAuthError(t, e.asClient("shop", exchange(pending)), http.StatusBadRequest, "invalid_grant")
}

// The access cookie has expired: the browser's session is renewed on the way.
func TestAuthorizeRenewsTheSession(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	delete(u.cookies, ownCookie)
	if u.code(); u.cookies[ownCookie] == nil {
		t.Error("the browser has no new cookie")
	}
}

func TestPromptsAndAge(t *testing.T) {
	e := newProvider(t)
	nobody, u := e.person(), e.loggedIn()
	if q := response(t, nobody.get(askFor("prompt=none")), shopURI); q.Get("error") != "login_required" || q.Get("state") != "af0ifjsldkj" {
		t.Errorf("parameters %v", q)
	}
	u.code("prompt=none")
	u.code("max_age=3600")
	for _, again := range []string{"prompt=login", "prompt=select_account", "max_age=0"} {
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // times of authentication are whole seconds
		before := u.cookies[ownCookie].Value
		a := u.get(askFor(again))
		if to := a.header.Get("Location"); !strings.Contains(to, "reauth=1") {
			t.Errorf("%s: leads to %q", again, to)
		}
		// Coming back without having done it is no way round.
		page, err := url.Parse(a.header.Get("Location"))
		must(t, err)
		if to := u.get(page.Query().Get("return_to")).header.Get("Location"); !strings.HasPrefix(to, "/login?") {
			t.Errorf("%s: without a login leads to %q", again, to)
		}
		if response(t, u.get(u.signsIn(a)), shopURI).Get("code") == "" {
			t.Errorf("%s: no code after the login", again)
		}
		if claimsOf(t, before)["sid"] == claimsOf(t, u.cookies[ownCookie].Value)["sid"] {
			t.Errorf("%s: the session is the same", again)
		}
	}
	if q := response(t, u.get(askFor("prompt=none", "max_age=0")), shopURI); q.Get("error") != "login_required" && q.Get("code") == "" {
		t.Errorf("parameters %v", q)
	}
}

func TestLevelsOfAuthentication(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	for _, change := range [][]string{{"acr_values=aal2"}, {"client_id=bank", "redirect_uri=https://bank.example/"}} {
		a := u.get(askFor(change...))
		if to := a.header.Get("Location"); !strings.HasPrefix(to, "/login?") || !strings.Contains(to, "acr=aal2") {
			t.Errorf("leads to %q", to)
		}
	}
	if q := response(t, u.get(askFor("acr_values=aal2", "prompt=none")), shopURI); q.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("parameters %v", q)
	}
	u.code("acr_values=aal1")
}

// A hint that means somebody else is no consent of who is logged in.
func TestHintOfAnother(t *testing.T) {
	e := newProvider(t)
	u := e.loggedIn()
	own := e.tokensOf(e.asClient("shop", exchange(u.code()))).IDToken
	u.code("prompt=none", "id_token_hint="+own)
	other := e.person()
	wantRedirect(t, other.post("/login", credentials(bobName, bobPassword)), "/account")
	if q := response(t, other.get(askFor("prompt=none", "id_token_hint="+own)), shopURI); q.Get("error") != "login_required" {
		t.Errorf("parameters %v", q)
	}
}

// OpenID Connect wants POST as well as GET; a form of another site comes without cookies, so it is made a link of.
func TestAuthorizeByForm(t *testing.T) {
	e := newProvider(t)
	form := strings.TrimPrefix(askFor(), "/oauth2/authorize?")
	a := e.do(request{method: "POST", path: "/oauth2/authorize", form: form, header: http.Header{
		"Origin": {"https://shop.example"}, "Sec-Fetch-Site": {"cross-site"},
	}})
	wantRedirect(t, a, askFor())
}

func TestTokenBoundToAKey(t *testing.T) {
	e := newProvider(t)
	k := newProver(e)
	uri := "redirect_uri=http://127.0.0.1:51004/callback"
	code := e.loggedIn().code("client_id=till", uri, "dpop_jkt="+k.key.Thumbprint())
	form := exchange(code, "client_id=till", uri)
	post := func(proofs ...string) answer {
		return e.do(request{method: "POST", path: "/oauth2/token", form: form.Encode(), header: http.Header{"Dpop": proofs}})
	}
	wantOAuthError(t, post(), http.StatusBadRequest, "invalid_dpop_proof")
	wantOAuthError(t, post(newProver(e).proof("POST", "/oauth2/token", "")), http.StatusBadRequest, "invalid_grant")
	g := e.tokensOf(post(k.proof("POST", "/oauth2/token", "")))
	if g.TokenType != "DPoP" {
		t.Errorf("granted %+v", g)
	}
	wantStatus(t, e.do(request{method: "GET", path: "/oauth2/userinfo", bearer: g.AccessToken}), http.StatusUnauthorized)
	wantStatus(t, k.call("GET", "/oauth2/userinfo", "DPoP", g.AccessToken, k.proof("GET", "/oauth2/userinfo", g.AccessToken)), http.StatusOK)
}
