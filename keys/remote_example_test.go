package keys_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/authd-project/authd/keys"
)

func ExampleRemote() {
	issuer := httptest.NewServer(publish("600", "a", "b")) // the Ed25519 keys a and b, good for ten minutes
	defer issuer.Close()

	remote, err := keys.NewRemote(keys.RemoteConfig{URL: issuer.URL + "/.well-known/jwks.json"})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- remote.Run(ctx) }()

	<-remote.Ready()
	for _, kid := range []string{"a", "c"} {
		key, known, err := remote.VerificationKey(ctx, kid, "EdDSA")
		fmt.Printf("%s: %T, known %v, error %v\n", kid, key, known, err)
	}
	cancel()
	fmt.Println(<-ended)
	// Output:
	// a: ed25519.PublicKey, known true, error <nil>
	// c: <nil>, known false, error <nil>
	// <nil>
}
