package tokentest_test

import (
	"crypto/ed25519"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/authd-project/authd/token/tokentest"
)

// A service's own verifier, which leaves to a library what it believes to be all. The cases say what is missing.
func ExampleCases() {
	good, key := tokenForExample()
	verify := func(raw string) error {
		_, err := jwt.Parse(raw, func(t *jwt.Token) (any, error) { return key.Public(), nil },
			jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer("https://auth.example.com"), jwt.WithAudience("orders"), jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(func() time.Time { return start }))
		return err
	}

	cases, err := tokentest.Cases(tokentest.Target{Good: good, Key: key})
	if err != nil {
		panic(err)
	}
	for _, c := range cases {
		group, _, _ := strings.Cut(c.Name, "/")
		if c.Token != "" && group == "crit" && verify(c.Token) == nil {
			fmt.Println("accepts", c.Name, "against", c.RFC)
			break
		}
	}
	// Output:
	// accepts crit/b64 against RFC 7515 section 4.1.11
}

// Any program that takes tokens over HTTP, in any language, can be asked.
func ExampleCase_Apply() {
	good, key := tokenForExample()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && r.URL.Query().Get("access_token") == "" { // a careless one
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer service.Close()

	cases, err := tokentest.Cases(tokentest.Target{Good: good, Key: key})
	if err != nil {
		panic(err)
	}
	for _, c := range cases {
		if !strings.HasPrefix(c.Name, "parameter/query/") || !c.InHeader() || !c.Sendable() {
			continue
		}
		request, err := http.NewRequest(http.MethodGet, service.URL, nil)
		if err != nil {
			panic(err)
		}
		c.Apply(request)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		response.Body.Close()
		if response.StatusCode < 300 || response.StatusCode >= 500 {
			fmt.Println(c.Name, response.StatusCode)
		}
	}
	// Output:
	// parameter/query/access_token 200
	// parameter/query/after-a-bad-one 200
	// parameter/query/and-form 200
	// parameter/query/beside-a-bad-header 200
	// parameter/query/escaped-name 200
	// parameter/query/twice 200
}

// tokenForExample is a good token and the key that signed it.
func tokenForExample() (string, ed25519.PrivateKey) {
	key := ed25519.NewKeyFromSeed([]byte("a key for examples, not a secret"))
	raw, err := issue(ring{kid: "2026-03", alg: "EdDSA", key: key})
	if err != nil {
		panic(err)
	}
	return raw, key
}
