package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/authd-project/authd/oauth"
	"github.com/authd-project/authd/token"
)

func TestVerifies(t *testing.T) {
	if !oauth.Verifies(challenge, verifier) {
		t.Error("the example of RFC 7636 is refused")
	}
	for _, bad := range []string{"", verifier[:42], verifier + "x", strings.Repeat("a", 129), verifier[:42] + "+", challenge} {
		if oauth.Verifies(challenge, bad) {
			t.Errorf("%q is a verifier", bad)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if other := rapid.StringMatching(`[A-Za-z0-9._~-]{43,128}`).Draw(t, "verifier"); oauth.Verifies(challenge, other) {
			t.Fatalf("%q is a verifier", other)
		}
	})
}

func TestCodeIsForOneClient(t *testing.T) {
	a, err := parse(t, query("dpop_jkt="+challenge))
	if err != nil {
		t.Fatal(err)
	}
	code := oauth.CodeOf(a, "session", "browser", "sub-alice")
	client, another := a.Client, registry(t).Client("till")
	if err := code.Check(client, a.RedirectURI, verifier, challenge); err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("x", 43)
	for name, err := range map[string]error{
		"another client":      code.Check(another, a.RedirectURI, verifier, challenge),
		"another URI":         code.Check(client, "https://shop.example/callback?tenant=a", verifier, challenge),
		"no URI":              code.Check(client, "", verifier, challenge),
		"another verifier":    code.Check(client, a.RedirectURI, other, challenge),
		"the challenge":       code.Check(client, a.RedirectURI, challenge, challenge),
		"no verifier":         code.Check(client, a.RedirectURI, "", challenge),
		"another key":         code.Check(client, a.RedirectURI, verifier, other),
		"no proof of the key": code.Check(client, a.RedirectURI, verifier, ""),
	} {
		var e *oauth.Error
		if !errors.As(err, &e) || e.Code != oauth.InvalidGrant || e.To != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIDToken(t *testing.T) {
	claims := token.Claims{
		Issuer: "https://auth.example", Subject: "sub-alice", ClientID: "shop", SessionID: "sid", Scope: "openid profile",
		ExpiresAt: time.Unix(1_700_000_600, 0), IssuedAt: time.Unix(1_700_000_000, 0), AuthTime: time.Unix(1_600_000_000, 0),
		ACR: "aal2", AMR: []string{"pwd", "otp"}, Roles: []string{"clerk"}, Audience: []string{"authd"},
	}
	// OpenID Connect Core appendix A.3 has an access token and its hash.
	id := oauth.IDTokenFor(claims, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "alice", "n", "RS256")
	want := oauth.IDToken{
		Issuer: "https://auth.example", Subject: "sub-alice", Audience: "shop", AuthorizedParty: "shop", ExpiresAt: 1_700_000_600,
		IssuedAt: 1_700_000_000, AuthTime: 1_600_000_000, Nonce: "n", ACR: "aal2", AMR: []string{"pwd", "otp"}, SessionID: "sid",
		AccessTokenHash: "77QmUPtjPfzWtF2AnpK9RQ", PreferredUsername: "alice", Roles: []string{"clerk"},
	}
	if !same(t, id, want) {
		t.Errorf("claims %+v", id)
	}
	claims.Scope = "openid"
	id = oauth.IDTokenFor(claims, "x", "alice", "", "EdDSA")
	if id.PreferredUsername != "" || id.Roles != nil || len(id.AccessTokenHash) != base64.RawURLEncoding.EncodedLen(32) {
		t.Errorf("without the scope profile: %+v", id)
	}
}

func same(t *testing.T, a, b any) bool {
	t.Helper()
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && slices.Equal(x, y)
}

func TestHints(t *testing.T) {
	good := `{"iss":"https://auth.example","sub":"sub-alice","sid":"s","aud":"shop","exp":1}`
	read := func(text string) (oauth.Hint, error) {
		var claims map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &claims); err != nil {
			t.Fatal(err)
		}
		return oauth.HintOf(claims, "https://auth.example")
	}
	if h, err := read(good); err != nil || h != (oauth.Hint{Subject: "sub-alice", SessionID: "s", ClientID: "shop"}) {
		t.Errorf("%+v, %v", h, err)
	}
	for _, bad := range []string{
		`{}`, strings.Replace(good, "auth.example", "evil.example", 1), strings.Replace(good, `"sub"`, `"x"`, 1),
		strings.Replace(good, `"s"`, `""`, 1), strings.Replace(good, `"shop"`, `["shop"]`, 1),
	} {
		if _, err := read(bad); !errors.Is(err, oauth.ErrHint) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestLogoutToken(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	text, err := json.Marshal(oauth.LogoutTokenFor("https://auth.example", "shop", "sub-alice", "sid", "jti", now))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"iss":"https://auth.example","sub":"sub-alice","aud":"shop","exp":1700000120,"iat":1700000000,"jti":"jti","sid":"sid",` +
		`"events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`
	if string(text) != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}
