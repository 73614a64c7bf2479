package dpop_test

import (
	"context"
	"fmt"

	"github.com/authd-project/authd/dpop"
)

// A client proves that it holds the key of its token, and a server that it proved it for this request, once.
func Example() {
	ctx := context.Background()
	key, err := dpop.GenerateKey()
	if err != nil {
		panic(err)
	}
	proof, err := key.Prove(dpop.Statement{Method: "GET", URL: "https://api.example.com/orders?page=2", AccessToken: "TOKEN"})
	if err != nil {
		panic(err)
	}

	verifier, err := dpop.NewVerifier(dpop.VerifierConfig{Replays: dpop.NewMemory(0, nil)})
	if err != nil {
		panic(err)
	}
	asked := dpop.Request{Method: "GET", URL: "https://api.example.com/orders", AccessToken: "TOKEN"}
	p, err := verifier.Check(ctx, proof, asked)
	fmt.Println(err, p.Thumbprint == key.Thumbprint()) // which must be the cnf.jkt of the token
	fmt.Println(verifier.Spend(ctx, p))
	fmt.Println(verifier.Spend(ctx, p))
	// Output:
	// <nil> true
	// <nil>
	// invalid DPoP proof: used before
}
