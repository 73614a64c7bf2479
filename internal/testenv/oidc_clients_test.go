package testenv_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/testenv"
)

func TestOAuth2Proxy(t *testing.T) {
	addr := testenv.OAuth2Proxy(t, []string{"--config", "oauth2-proxy.cfg"}, func(addr string) string {
		return fmt.Sprintf(`
http_address = %q
provider = "oidc"
oidc_issuer_url = "http://127.0.0.1:1"
skip_oidc_discovery = true
login_url = "http://127.0.0.1:1/authorize"
redeem_url = "http://127.0.0.1:1/token"
oidc_jwks_url = "http://127.0.0.1:1/jwks"
client_id = "proxy"
client_secret = "secret"
cookie_secret = "0123456789abcdef0123456789abcdef"
email_domains = ["*"]
upstreams = ["static://202"]
`, addr)
	})
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("somebody who is not logged in: %d", resp.StatusCode)
	}
}

func TestOpenIDClient(t *testing.T) {
	dir := testenv.OpenIDClientDir(t)
	write(t, filepath.Join(dir, "main.mjs"), `
import { webcrypto } from 'node:crypto'
globalThis.crypto ??= webcrypto
const client = await import('openid-client')
console.log(await client.calculatePKCECodeChallenge('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'))
`)
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join(dir, "main.mjs")).CombinedOutput()
	const want = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 appendix B
	if err != nil || strings.TrimSpace(string(out)) != want {
		t.Errorf("printed %s, %v", out, err)
	}
}
