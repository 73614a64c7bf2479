package keys_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/hostileissuer"
	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/token"
)

// Whatever an issuer does, Remote does what a good client must.
func TestRemoteWithstandsHostileIssuers(t *testing.T) {
	for _, s := range hostileissuer.Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, err := s.Run(t.Context(), hostileissuer.Pipes(), startRemote)
				switch {
				case err != nil:
					t.Fatal(err)
				case !o.Passed():
					t.Errorf("%s\nthe issuer: %s\na good client: %s", o, s.Issuer, s.Client)
				}
			})
		})
	}
}

// remoteVerifier verifies tokens by the keys of a Remote that it runs.
type remoteVerifier struct {
	*token.Verifier
	ended chan error
}

func startRemote(ctx context.Context, s hostileissuer.Settings) (hostileissuer.Verifier, error) {
	r, err := keys.NewRemote(keys.RemoteConfig{
		URL: s.JWKSURL, Client: s.Client, MaxAge: s.MaxAge, MaxRefresh: s.Refresh, RefetchAfter: s.Refetch,
		FetchTimeout: s.FetchTimeout, Wait: s.Wait,
	})
	if err != nil {
		return nil, err
	}
	v, err := token.NewVerifier(token.VerifierConfig{
		Issuer: s.Issuer, Audience: []string{s.Audience}, Algorithms: []string{s.Algorithm}, Keys: r, Revocations: nothingRevoked{},
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return remoteVerifier{v, ended}, nil
}

func (v remoteVerifier) Verify(ctx context.Context, raw string) error {
	_, err := v.Verifier.Verify(ctx, raw)
	return err
}

func (v remoteVerifier) Close() error { return <-v.ended }

type nothingRevoked struct{}

func (nothingRevoked) Check(context.Context, revocation.Claims) error { return nil }
