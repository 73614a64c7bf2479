package httpfeed_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

// script is a feed that plays its batches and ends.
type script []revocation.Batch

func (s script) Follow(_ context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	for _, b := range s {
		if err := apply(b); err != nil {
			return err
		}
	}
	return nil
}

// The transcript in the documentation is what the handler writes, byte for byte.
func TestDocumentedTranscript(t *testing.T) {
	command, want, _ := strings.Cut(strings.TrimPrefix(docs.Text(t, "docs/revocation-feed.md", "console", 0), "$ "), "\n")

	start := time.Unix(1_790_000_000, 0)
	ms := func(n int64) time.Time { return start.Add(time.Duration(n) * time.Millisecond) }
	sid := revocation.IDOf(revocation.Session, "AAECAwQFBgcICQoLDA0ODw")
	jti := revocation.IDOf(revocation.Token, "Dw4NDAsKCQgHBgUEAwIBAA")
	alice := revocation.IDOf(revocation.Subject, "alice")
	feed := script{
		{Entries: []revocation.Entry{
			{Kind: revocation.Session, ID: sid, Expires: 1_790_000_630},
			{Kind: revocation.Subject, ID: alice, NotBefore: 1_790_000_000, Expires: 1_790_000_630},
		}},
		{Position: revocation.Position{Epoch: "5BWYKTVGPJ4Y", Seq: 2}, AsOf: ms(5150)},
		{AsOf: ms(5650)},
		{
			Entries:  []revocation.Entry{{Kind: revocation.Token, ID: jti, Expires: 1_790_000_631}},
			Position: revocation.Position{Epoch: "5BWYKTVGPJ4Y", Seq: 3}, AsOf: ms(5702),
		},
		{},
		{AsOf: ms(6652)},
	}
	clock := start
	handler := httpfeed.NewHandler(httpfeed.HandlerConfig{Feed: feed, Now: func() time.Time { return clock }})
	clock = ms(5210)
	server := httptest.NewServer(handler)
	defer server.Close()
	curl := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "http://127.0.0.1:8080", server.URL, 1))
	got, err := curl.Output()
	if err != nil || string(got) != want {
		t.Errorf("%s: %v, and prints:\n%s\nthe documentation says:\n%s", command, err, got, want)
	}
}

// driver follows a feed with the documented mirror until it is fresh, and prints what it says about each of the tokens
// given as its second argument.
const driver = `
import { Mirror } from "./mirror.mjs";
const mirror = new Mirror(process.argv[2]), end = new AbortController();
const running = mirror.run(end.signal);
while (mirror.check({ iat: 4e9 }, "other") === "unknown") await new Promise((r) => setTimeout(r, 10));
console.log(JSON.stringify(JSON.parse(process.argv[3]).map(({ claims, kid }) => mirror.check(claims, kid))));
process.exit();
`

// The documented mirror in JavaScript agrees with the one in Go.
func TestDocumentedMirror(t *testing.T) {
	type claims map[string]any
	type token struct {
		Claims claims `json:"claims"`
		KeyID  string `json:"kid"`
	}
	const cut = 1_790_000_000
	tokens := []struct {
		token
		want string
	}{
		{token{claims{"sid": "AAECAwQFBgcICQoLDA0ODw", "iat": cut}, "k"}, "revoked"},
		{token{claims{"sid": "Dw4NDAsKCQgHBgUEAwIBAA", "iat": cut}, "k"}, "ok"},
		{token{claims{"jti": "Dw4NDAsKCQgHBgUEAwIBAA", "iat": cut}, "k"}, "revoked"},
		{token{claims{"jti": "a name, not 16 bytes", "iat": cut}, "k"}, "revoked"},
		{token{claims{"sub": "älice", "iat": cut}, "k"}, "ok"},
		{token{claims{"sub": "älice", "iat": cut - 1}, "k"}, "revoked"},
		{token{claims{"client_id": "shop", "iat": cut - 1}, "k"}, "revoked"},
		{token{claims{"iat": cut}, "bad"}, "revoked"},
		{token{claims{"iat": cut - 1001}, "k"}, "revoked"}, // by all
		{token{claims{"iat": cut - 1000}, "k"}, "ok"},
	}
	expires := time.Now().Add(time.Hour).Unix()
	feed := beats{
		{Kind: revocation.Session, ID: revocation.IDOf(revocation.Session, "AAECAwQFBgcICQoLDA0ODw"), Expires: expires},
		{Kind: revocation.Token, ID: revocation.IDOf(revocation.Token, "Dw4NDAsKCQgHBgUEAwIBAA"), Expires: expires},
		{Kind: revocation.Token, ID: revocation.IDOf(revocation.Token, "a name, not 16 bytes"), Expires: expires},
		{Kind: revocation.Subject, ID: revocation.IDOf(revocation.Subject, "älice"), NotBefore: cut, Expires: expires},
		{Kind: revocation.Client, ID: revocation.IDOf(revocation.Client, "shop"), NotBefore: cut, Expires: expires},
		{Kind: revocation.Key, ID: revocation.IDOf(revocation.Key, "bad"), Expires: expires},
		{Kind: revocation.Everything, NotBefore: cut - 1000, Expires: expires},
	}
	server, _ := serve(t, httpfeed.HandlerConfig{Feed: feed})

	dir := t.TempDir()
	for name, code := range map[string]string{"mirror.mjs": docs.Text(t, "docs/revocation-feed.md", "js", 0), "driver.mjs": driver} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var ask []token
	for _, test := range tokens {
		ask = append(ask, test.token)
	}
	question, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	node := exec.CommandContext(ctx, "node", filepath.Join(dir, "driver.mjs"), server.URL, string(question))
	node.Stderr = os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatalf("node: %v; internal/testenv/install.sh installs it", err)
	}
	var got []string
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(tokens) {
		t.Fatalf("node said %q, %v", out, err)
	}
	for i, test := range tokens {
		if got[i] != test.want {
			t.Errorf("%v signed by %q: got %q, want %q", test.Claims, test.KeyID, got[i], test.want)
		}
	}
}
