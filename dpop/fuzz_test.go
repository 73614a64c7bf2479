package dpop_test

import (
	"errors"
	"testing"

	"github.com/authd-project/authd/dpop"
)

// Whatever comes is refused with an ErrInvalid that does not quote it, or is a proof of the request with a key that has one
// thumbprint.
func FuzzCheck(f *testing.F) {
	key, err := dpop.GenerateKey()
	must(f, err)
	raw, err := key.Prove(dpop.Statement{Method: request.Method, URL: request.URL, AccessToken: accessToken, ID: "id", IssuedAt: now})
	must(f, err)
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := check(raw, request)
		switch {
		case err == nil && (!dpop.IsThumbprint(p.Thumbprint) || p.ID == "" || len(p.ID) > 128):
			t.Errorf("accepted as %+v", p)
		case err != nil && (!errors.Is(err, dpop.ErrInvalid) || dpop.Explain(err) == ""):
			t.Errorf("refused with %v", err)
		}
	})
}

// Header and claims are read alike when they are not in base64url, and signed with a good key: what a fuzzer can do
// something about.
func FuzzCheckSigned(f *testing.F) {
	known := newForger(f)
	header, good := text(f, known.header()), text(f, claims().with("ath", ath()))
	f.Add(header, good)
	f.Fuzz(func(t *testing.T, header, claims string) {
		p, err := check(forger{t, known.signer}.sign(header, claims), request)
		if err != nil {
			if !errors.Is(err, dpop.ErrInvalid) || dpop.Explain(err) == "" {
				t.Errorf("refused with %v", err)
			}
			return
		}
		want, err := dpop.Thumbprint(&known.signer.PublicKey)
		if err != nil || p.Thumbprint != want || p.ID == "" {
			t.Errorf("accepted as %+v", p)
		}
	})
}
