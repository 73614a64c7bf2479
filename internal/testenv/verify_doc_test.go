package testenv_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/internal/testenv"
	"github.com/authd-project/authd/middleware/middlewaretest"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// The JavaScript of docs/verify.md does what it says. It is run as it stands, but for the issuer's URL.
func TestVerifyDocSnippets(t *testing.T) {
	issuer := middlewaretest.NewIssuer("authd")
	defer issuer.Close()
	var module string
	for _, block := range docs.Blocks(t, "docs/verify.md", "js") {
		module += block.Text
	}
	const defaultIssuer = "'http://127.0.0.1:8080'"
	if strings.Count(module, defaultIssuer) != 1 {
		t.Fatalf("the snippets name the issuer %d times", strings.Count(module, defaultIssuer))
	}
	dir := testenv.JoseDir(t)
	write(t, filepath.Join(dir, "snippet.mjs"), strings.Replace(module, defaultIssuer, "'"+issuer.URL+"'", 1))

	gone := issuer.Mint(token.Claims{SessionID: "s1"})
	issuer.Revoke(revocation.Session, "s1")
	tokens, err := json.Marshal([]string{
		issuer.Mint(token.Claims{Subject: "alice"}),
		issuer.Mint(token.Claims{Audience: []string{"billing"}}),
		issuer.MintAt(time.Now().Add(-time.Hour), token.Claims{}),
		gone,
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "main.mjs"), `
import { verify, isActive } from './snippet.mjs'
for (const token of `+string(tokens)+`) {
  const verified = await verify(token).then((c) => c.sub, (e) => e.code)
  console.log(verified, await isActive(token, 'client', 'secret'))
}`)
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "main.mjs"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	const want = "alice true\nERR_JWT_CLAIM_VALIDATION_FAILED false\nERR_JWT_EXPIRED false\nalice false\n"
	if string(out) != want {
		t.Errorf("printed\n%swant\n%s", out, want)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
