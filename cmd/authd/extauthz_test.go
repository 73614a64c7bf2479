package main_test

import (
	"context"
	"net/http"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// Envoy is told what other proxies are told: who calls, and that a session has ended. authd stops while Envoy is connected.
func TestExtAuthz(t *testing.T) {
	t.Parallel()
	authd := serve(t, t.TempDir(), "--demo", "--scopes", "orders:read", "--ext-authz-listen", "127.0.0.1:0")
	conn, err := grpc.NewClient(authd.out.find(t, `ext_authz\s+(\S+)`), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := authv3.NewAuthorizationClient(conn)
	check := func(headers map[string]string) *authv3.CheckResponse {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		a, err := client.Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
			Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{Headers: headers}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	var g grant
	login := map[string]string{"username": demoUser, "password": demoPassword, "scope": "orders:read"}
	if status := authd.call(t, http.MethodPost, "/v1/login", "", login, &g); status != http.StatusOK {
		t.Fatalf("login: %d", status)
	}
	bearer := map[string]string{"authorization": "Bearer " + g.AccessToken}

	want := ask(t, http.MethodGet, authd.URL+"/v1/verify", g.AccessToken, nil).Header
	a := check(bearer)
	if codes.Code(a.GetStatus().GetCode()) != codes.OK || len(a.GetOkResponse().GetHeaders()) != 3 {
		t.Fatalf("a good token is answered %v", a)
	}
	for _, h := range a.GetOkResponse().GetHeaders() {
		if got := h.GetHeader(); got.GetValue() == "" || got.GetValue() != want.Get(got.GetKey()) {
			t.Errorf("%s is %q, want %q", got.GetKey(), got.GetValue(), want.Get(got.GetKey()))
		}
	}

	wantDenied := func(what string, headers map[string]string, accessToken string) {
		t.Helper()
		a := check(headers)
		no := a.GetDeniedResponse()
		if codes.Code(a.GetStatus().GetCode()) != codes.Unauthenticated || no.GetStatus().GetCode() != http.StatusUnauthorized {
			t.Fatalf("%s is answered %v", what, a)
		}
		challenge := ask(t, http.MethodGet, authd.URL+"/v1/verify", accessToken, nil).Header.Get("WWW-Authenticate")
		for _, h := range no.GetHeaders() {
			if h.GetHeader().GetKey() == "www-authenticate" && h.GetHeader().GetValue() == challenge && challenge != "" {
				return
			}
		}
		t.Errorf("%s: challenge %q is not in %v", what, challenge, no.GetHeaders())
	}
	wantDenied("no token", nil, "")
	wantDenied("two tokens", map[string]string{"authorization": "Bearer " + g.AccessToken + ",Bearer " + g.AccessToken}, "x")
	authd.logout(t, g, "session")
	wantDenied("after the logout", bearer, g.AccessToken)

	authd.terminate(t)
}
