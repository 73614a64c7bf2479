package hostileissuer_test

import (
	"context"
	"fmt"

	"github.com/authd-project/authd/keys/hostileissuer"
)

// A client that asks the issuer about every token fails as soon as the issuer does. In a test, [hostileissuer.Test] runs
// all scenarios.
func Example() {
	for _, s := range hostileissuer.Scenarios() {
		if s.Name != "error 503" {
			continue
		}
		outcome, err := s.Run(context.Background(), hostileissuer.Loopback(), startNaive)
		fmt.Println("the issuer", s.Issuer)
		fmt.Println(outcome, err)
	}
	// Output:
	// the issuer answers an error document
	// FAILED: a good token was refused <nil>
}
