package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// wiki is the application. Its sessions are its own, in memory, each with the tokens that authd gave for it.
type wiki struct {
	url        string
	provider   *oidc.Provider
	verifier   *oidc.IDTokenVerifier
	oauth      oauth2.Config
	endSession string // where a logout begins, by authd's discovery document
	log        *log.Logger

	mu       sync.Mutex
	sessions map[string]*login // by the value of the cookie
}

// login is a user who is logged in here.
type login struct {
	sid, idToken string
	tokens       oauth2.TokenSource // refreshes by itself
}

// Cookies of the application.
const (
	sessionCookie = "wiki_session"
	loginCookie   = "wiki_login" // state, nonce and verifier of a login that is under way
)

// newWiki finds everything else by discovery.
func newWiki(ctx context.Context, issuer, client, secret, own string) (*wiki, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("discovery: %w", err)
	}
	return &wiki{
		url: own, provider: provider, verifier: provider.Verifier(&oidc.Config{ClientID: client}),
		oauth: oauth2.Config{
			ClientID: client, ClientSecret: secret, Endpoint: provider.Endpoint(), RedirectURL: own + "/callback",
			Scopes: []string{oidc.ScopeOpenID, "profile", oidc.ScopeOfflineAccess},
		},
		endSession: metadata.EndSession, sessions: make(map[string]*login),
	}, nil
}

func (w *wiki) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", w.home)
	mux.HandleFunc("GET /login", w.login)
	mux.HandleFunc("GET /callback", w.callback)
	mux.HandleFunc("POST /logout", w.logout)
	mux.HandleFunc("POST /backchannel-logout", w.backchannelLogout)
	return mux
}

var page = template.Must(template.New("").Parse(`<!DOCTYPE html>
<html lang="en"><title>Wiki</title>
{{with .}}<p>Hello {{.}}.</p><form method="post" action="/logout"><button>Log out</button></form>
{{else}}<p>Hello. <a href="/login">Log in</a></p>{{end}}
</html>
`))

// home greets the user by what authd says now: a session that has ended there has no userinfo.
func (w *wiki) home(rw http.ResponseWriter, r *http.Request) {
	var name string
	if l := w.session(r); l != nil {
		info, err := w.provider.UserInfo(r.Context(), l.tokens)
		var claims struct {
			Name string `json:"preferred_username"`
		}
		if err == nil {
			err = info.Claims(&claims)
		}
		if err != nil {
			w.forget(func(other *login) bool { return other == l })
		} else {
			name = claims.Name
		}
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(rw, name)
}

// login sends the browser to authd. What comes back must fit the cookie.
func (w *wiki) login(rw http.ResponseWriter, r *http.Request) {
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	w.setCookie(rw, loginCookie, url.Values{"state": {state}, "nonce": {nonce}, "verifier": {verifier}}.Encode())
	http.Redirect(rw, r, w.oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusFound)
}

func (w *wiki) callback(rw http.ResponseWriter, r *http.Request) {
	sent := url.Values{}
	if c, err := r.Cookie(loginCookie); err == nil {
		sent, _ = url.ParseQuery(c.Value)
	}
	query := r.URL.Query()
	switch {
	case sent.Get("state") == "" || subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(sent.Get("state"))) != 1:
		http.Error(rw, "this login did not begin here", http.StatusBadRequest)
		return
	case query.Has("error"):
		http.Error(rw, "not logged in: "+query.Get("error"), http.StatusForbidden)
		return
	}
	l, err := w.redeem(r.Context(), query.Get("code"), sent.Get("verifier"), sent.Get("nonce"))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusForbidden)
		return
	}
	key := rand.Text()
	w.mu.Lock()
	w.sessions[key] = l
	w.mu.Unlock()
	w.setCookie(rw, loginCookie, "")
	w.setCookie(rw, sessionCookie, key)
	http.Redirect(rw, r, "/", http.StatusFound)
}

// redeem exchanges the code for tokens, and believes the ID token only if it is authd's, for this client, and of this
// login.
func (w *wiki) redeem(ctx context.Context, code, verifier, nonce string) (*login, error) {
	tokens, err := w.oauth.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, fmt.Errorf("exchanging the code: %w", err)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := w.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("verifying the ID token: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(nonce)) != 1 {
		return nil, fmt.Errorf("the ID token is of another login")
	}
	var claims struct {
		SID string `json:"sid"`
	}
	if err := id.Claims(&claims); err != nil {
		return nil, err
	}
	// The source outlives the request.
	return &login{sid: claims.SID, idToken: raw, tokens: w.oauth.TokenSource(context.WithoutCancel(ctx), tokens)}, nil
}

// logout ends the session here, and sends the browser to authd to end it there.
func (w *wiki) logout(rw http.ResponseWriter, r *http.Request) {
	l := w.session(r)
	if l == nil {
		http.Redirect(rw, r, "/", http.StatusSeeOther)
		return
	}
	w.forget(func(other *login) bool { return other == l })
	query := url.Values{"id_token_hint": {l.idToken}, "post_logout_redirect_uri": {w.url + "/"}}
	http.Redirect(rw, r, w.endSession+"?"+query.Encode(), http.StatusSeeOther)
}

// backchannelLogout hears from authd, not from a browser, that a session has ended.
func (w *wiki) backchannelLogout(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(rw, r.Body, 64<<10)
	token, err := w.verifier.VerifyLogout(r.Context(), r.PostFormValue("logout_token"))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.forget(func(l *login) bool { return l.sid == token.SessionID })
	w.log.Print("told that session ", token.SessionID, " has ended")
}

// session returns the login of the request's cookie; nil if there is none.
func (w *wiki) session(r *http.Request) *login {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[c.Value]
}

func (w *wiki) forget(which func(*login) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, l := range w.sessions {
		if which(l) {
			delete(w.sessions, key)
		}
	}
}

// setCookie sets one that no script and no other site can use; an empty value removes it.
func (w *wiki) setCookie(rw http.ResponseWriter, name, value string) {
	c := &http.Cookie{ //nolint:gosec // Secure wherever people reach the application by https; on a laptop they do not
		Name: name, Value: value, Path: "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(w.url, "https://"),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(rw, c)
}
