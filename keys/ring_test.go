package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/authd-project/authd/keys"
)

// However a ring, a key or a KEK is printed or logged, no secret appears.
func TestSecretsDoNotPrint(t *testing.T) {
	r := richRing(t, "EdDSA")
	kek := keys.GenerateKEK()
	var out bytes.Buffer
	for _, v := range []any{r, &r, r.Keys[1], &r.Keys[1], r.MACs[0], &r.MACs[0], kek, []keys.KEK{kek}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if err := json.NewEncoder(&out).Encode(v); err != nil {
			t.Errorf("%T: %v", v, err)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("ring", "value", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("ring", "value", v)
	}
	printed := out.String()
	kekBytes, err := base64.StdEncoding.DecodeString(kek.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"private key": r.Keys[1].Private.(ed25519.PrivateKey).Seed(), "MAC secret": r.MACs[0].Secret, "KEK": kekBytes,
	} {
		for form, text := range map[string]string{
			"raw":     string(secret),
			"hex":     hex.EncodeToString(secret),
			"base64":  base64.StdEncoding.EncodeToString(secret)[:40], // also as the beginning of a longer one
			"decimal": strings.Trim(fmt.Sprint(secret), "[]"),
			"go":      strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"),
		} {
			if strings.Contains(printed, text) {
				t.Errorf("the %s is printed in %s", name, form)
			}
		}
	}
	for _, want := range []string{r.Keys[1].ID, "mac key 1", kek.ID(), `"state":"prepared"`} {
		if !strings.Contains(printed, want) {
			t.Errorf("%s is not printed at all", want)
		}
	}
}
