package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/oauth"
)

const digestOfSecret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" // of "secret"

func TestOAuthClientFile(t *testing.T) {
	clients, err := parseOAuthClients("clients.yaml", []byte(`
clients:
  - id: wiki
    name: The wiki
    secret_sha256: `+digestOfSecret+`
    redirect_uris: [https://wiki.example/callback]
    post_logout_redirect_uris: ["https://wiki.example/"]
    backchannel_logout_uri: https://wiki.example/backchannel-logout
    scopes: [openid, profile]
    acr: aal2
  - id: phone
    public: true
    native: true
    dpop: true
    redirect_uris: ["http://127.0.0.1/callback", "com.example.phone:/callback"]
  - id: orders
    secret_sha256:
      - `+digestOfSecret+`
      - `+strings.ToUpper(strings.Replace(digestOfSecret, "2", "3", 1))+`
    grant_types: [client_credentials, "urn:ietf:params:oauth:grant-type:token-exchange"]
    scopes: [orders:read]
    audiences: [orders]
    exchange_audiences: [billing]
`))
	if err != nil {
		t.Fatal(err)
	}
	secret := sha256.Sum256([]byte("secret"))
	other, _ := hex.DecodeString(strings.Replace(digestOfSecret, "2", "3", 1))
	want := []oauth.Client{
		{
			ID: "wiki", Name: "The wiki", SecretSHA256: [][32]byte{secret}, RedirectURIs: []string{"https://wiki.example/callback"},
			PostLogoutRedirectURIs: []string{"https://wiki.example/"}, BackchannelLogoutURI: "https://wiki.example/backchannel-logout",
			Scopes: []string{"openid", "profile"}, ACR: "aal2",
		},
		{ID: "phone", Public: true, Native: true, DPoP: true, RedirectURIs: []string{"http://127.0.0.1/callback", "com.example.phone:/callback"}},
		{
			ID: "orders", SecretSHA256: [][32]byte{secret, [32]byte(other)}, GrantTypes: []string{oauth.GrantClientCredentials, oauth.GrantExchange},
			Scopes: []string{"orders:read"}, Audiences: []string{"orders"}, ExchangeAudiences: []string{"billing"},
		},
	}
	if !reflect.DeepEqual(clients, want) {
		t.Errorf("read\n%+v\nwant\n%+v", clients, want)
	}
}

// Every mistake is reported at once, with its line.
func TestOAuthClientFileProblems(t *testing.T) {
	const secret = "this-is-my-secret"
	_, err := parseOAuthClients("clients.yaml", []byte(`clients:
  - id: wiki
    redirect_uri: https://wiki.example/callback
    public: perhaps
  - id: shop
    secret_sha256: `+secret+`
    redirect_uris: https://shop.example/callback
  - id: blog
    public: true
    redirect_uris: [http://blog.example/callback]
  - id: blog
    id: blog
    public: true
    redirect_uris: [https://blog.example/callback]
  - just a text
more: 1
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"clients.yaml:3: redirect_uri: no such key",
		"clients.yaml:4: public: want true or false",
		"clients.yaml:6: secret_sha256: want 64 hexadecimal digits",
		"clients.yaml:7: redirect_uris: want a list of values",
		"clients.yaml:8: client \"blog\": redirect URI \"http://blog.example/callback\": must be https",
		"clients.yaml:11: client \"blog\": it is in line 8 already",
		"clients.yaml:12: id: given twice",
		"clients.yaml:15: want a mapping",
		"clients.yaml:16: more: no such key",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Error("the error repeats what may be a secret")
	}
}

func TestOAuthClientFileForms(t *testing.T) {
	for text, good := range map[string]bool{
		"":                 true,
		"# nothing yet\n":  true,
		"clients:\n":       true,
		"clients: []\n":    true,
		"clients: {}\n":    false,
		"[]":               false,
		"clients: [\n":     false,
		"client: []":       false,
		"a: &a [*a]":       false,
		"clients: &a [*a]": false,
	} {
		if _, err := parseOAuthClients("clients.yaml", []byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The example of deploy/ has no mistake, but for the secrets, which are to be replaced.
func TestOAuthClientExample(t *testing.T) {
	const name = "../../deploy/oauth-clients.yaml"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	clients, err := parseOAuthClients(name, text)
	if err != nil || len(clients) != 5 {
		t.Errorf("%d clients: %v", len(clients), err)
	}
}

// The settings are refused together with their file.
func TestOAuthClientsSetting(t *testing.T) {
	if _, err := load(t, nil, "--oauth-clients", filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "oauth-clients: ") {
		t.Errorf("a file that is missing: %v", err)
	}
	bad := write(t, "clients:\n  - {id: wiki, publik: true}\n")
	if _, err := load(t, nil, "--oauth-clients", bad, "--leeway", "1h"); err == nil ||
		!strings.Contains(err.Error(), bad+":2: publik: no such key") || !strings.Contains(err.Error(), "leeway") {
		t.Errorf("a bad file and a bad setting: %v", err)
	}
	good := write(t, "clients: []\n")
	if _, err := load(t, nil, "--oauth-clients", good); err != nil {
		t.Error(err)
	}
	if _, err := load(t, nil, "--oauth-clients", good, "--pages=false"); err == nil || !strings.Contains(err.Error(), "oauth-clients: needs pages") {
		t.Errorf("clients without a login page: %v", err)
	}
}

// A file that changes is read again; one that is broken changes nothing, and is complained of once.
func TestOAuthClientsAreReadAgain(t *testing.T) {
	var log strings.Builder
	file := write(t, "clients: []\n")
	r, err := openOAuthRegistry(file, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	step := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r.look()
		r.look()
	}
	const wiki = "clients:\n  - {id: wiki, public: true, redirect_uris: [https://wiki.example/], backchannel_logout_uri: https://wiki.example/logout}\n"
	if r.Client("wiki") != nil || r.AnyLogoutURI() {
		t.Error("there are clients from the start")
	}
	step(wiki)
	if r.Client("wiki") == nil || !r.AnyLogoutURI() || r.LogoutURI("wiki") != "https://wiki.example/logout" {
		t.Error("the new client is not known")
	}
	step("clients: [{id: wiki}]")
	if r.Client("wiki") == nil {
		t.Error("a broken file has removed a client")
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
		t.Errorf("a broken file is complained of %d times:\n%s", n, log.String())
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.look()
	if n := strings.Count(log.String(), "level=ERROR"); r.Client("wiki") == nil || n != 2 {
		t.Errorf("a missing file is complained of %d times:\n%s", n-1, log.String())
	}
	step("clients: []\n")
	if r.Client("wiki") != nil || r.AnyLogoutURI() || r.LogoutURI("wiki") != "" {
		t.Error("the client that was removed is known")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.run(ctx); err != nil {
		t.Errorf("running to the end: %v", err)
	}
}

// What `authd client new` prints for OAuth clients is what the file wants.
func TestClientNewEntry(t *testing.T) {
	var out strings.Builder
	cmd := newClientCommand()
	cmd.SetOut(&out)
	cmd.SetArgs([]string{"new", "wiki", "--redirect-uri", "https://wiki.example/callback", "--scope", "openid,profile", "--audience", "wiki"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
	secret, file, found := strings.Cut(strings.TrimPrefix(out.String(), "secret, for the client (shown once):\n  "), "\nfor the file of the setting oauth-clients:\n")
	if !found {
		t.Fatalf("printed\n%s", out.String())
	}
	clients, err := parseOAuthClients("printed", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	if c := clients[0]; c.ID != "wiki" || !c.HasSecret(secret) || !c.RedirectsTo("https://wiki.example/callback") ||
		len(c.Scopes) != 2 || len(c.Audiences) != 1 {
		t.Errorf("printed %+v", c)
	}
	for _, bad := range [][]string{
		{"new", "wiki", "--redirect-uri", "http://wiki.example/"},
		{"new", "wiki", "--public", "--grant", "client_credentials"},
		{"new", "wi:ki", "--redirect-uri", "https://wiki.example/"},
	} {
		cmd := newClientCommand()
		cmd.SetArgs(bad)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		if err := cmd.Execute(); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
