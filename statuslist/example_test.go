package statuslist_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/authd-project/authd/internal/docs"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/statuslist"
	"github.com/authd-project/authd/token"
)

// A service that knows the issuer's URL, and goes by its status lists in the place of a mirror.
func ExampleNewChecker() {
	check := func(ctx context.Context, issuer, raw string) error {
		remote, err := keys.NewRemote(keys.RemoteConfig{URL: issuer + "/.well-known/jwks.json"}) // and run remote.Run(ctx)
		if err != nil {
			return err
		}
		checker, err := statuslist.NewChecker(statuslist.CheckerConfig{Issuer: issuer, Keys: remote})
		if err != nil {
			return err
		}
		defer checker.Close()
		verifier, err := token.NewVerifier(token.VerifierConfig{
			Issuer: issuer, Audience: []string{"orders"}, Keys: remote, Revocations: checker,
		})
		if err != nil {
			return err
		}
		_, err = verifier.Verify(ctx, raw)
		return err
	}
	fmt.Println(check(context.Background(), "https://auth.example.com", "not a token"))
	// Output: invalid token: malformed: not three parts
}

// Each line of Go in docs/status-list.md stands in the example.
func TestGuide(t *testing.T) {
	example, err := os.ReadFile("example_test.go")
	must(t, err)
	for line := range strings.Lines(docs.Text(t, "docs/status-list.md", "go", 0)) {
		if !regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(strings.TrimSpace(line)) + `$`).Match(example) {
			t.Errorf("not in the example: %s", line)
		}
	}
}
