package identity_test

import (
	"context"
	"fmt"

	"github.com/authd-project/authd/identity"
)

func ExampleHasher() {
	ctx := context.Background()
	hasher, err := identity.NewHasher(identity.HasherConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, err := hasher.Hash(ctx, "violin marmalade tundra")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stored[:31])

	for _, password := range []string{"violin marmalade tundra", "violin marmalade"} {
		ok, err := hasher.Verify(ctx, stored, password)
		fmt.Println(ok, err)
	}
	// Output:
	// $argon2id$v=19$m=19456,t=2,p=1$
	// true <nil>
	// false <nil>
}

func ExampleRules() {
	rules := identity.Rules{Context: []string{"authd"}}
	for _, password := range []string{"violin", "Password1", "authd2026!", "violin marmalade"} {
		fmt.Println(rules.Check("alice", password))
	}
	// Output:
	// password not accepted: it has 6 characters, at least 8 are needed; a few unrelated words make a good one
	// password not accepted: it is among the most common passwords, which are tried first
	// password not accepted: it is little more than the word "authd"
	// <nil>
}

func ExampleNormalizeUsername() {
	for _, typed := range []string{"Alice@Example.com", "two words"} {
		fmt.Println(identity.NormalizeUsername(typed))
	}
	// Output:
	// alice@example.com <nil>
	//  username not accepted: it has a space, a control character or a character that names may not have
}
