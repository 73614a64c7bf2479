package keys_test

import (
	"context"
	"fmt"
	"time"

	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/keys/keystest"
)

// The life of a ring under a policy, decided by a pure function: what a leader would write on each of these days.
func ExamplePolicy_Next() {
	policy := keys.Policy{}.WithDefaults()
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var ring keys.Ring
	for _, day := range []int{0, 29, 30, 31} {
		now := start.AddDate(0, 0, day)
		for {
			step := policy.Next(now, ring)
			if step.Action == keys.Wait {
				break
			}
			if step.Action != keys.Confirm && !step.MAC { // the keys of refresh tokens have the same life
				fmt.Printf("day %d: %s\n", day, step.Action)
			}
			ring, _ = policy.Apply(now, ring, step)
		}
	}
	// Output:
	// day 0: begin
	// day 0: prepare
	// day 30: activate
	// day 30: prepare
	// day 31: drop
}

// A process that leads and serves: the rotator is given to an elector, the view to whatever signs and verifies.
func Example() {
	store := keystest.NewMemory() // boltstore.Open in earnest
	policy := keys.Policy{Algorithm: "EdDSA"}.WithDefaults()
	rotator, err := keys.NewRotator(keys.RotatorConfig{
		Store: store, Policy: policy, Holder: "authd-0",
		Revocations: keys.KeyRevokerFunc(func(context.Context, string, time.Time) error { return nil }),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	view, err := keys.NewView(keys.ViewConfig{Store: store, Policy: policy})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- rotator.Lead(ctx) }() // elector.Lead(ctx, rotator.Lead) where there are several processes
	go func() { done <- view.Run(ctx) }()
	<-view.Ready()

	kid, alg, _, _ := view.SigningKey(ctx)
	_, known, _ := view.VerificationKey(ctx, kid, alg)
	_, wellFormed := keys.ParseKeyID(kid)
	set, _ := view.JWKS(ctx)
	fmt.Println(alg, known, wellFormed, set.MaxAge)

	stop()
	fmt.Println(<-done, <-done)
	// Output:
	// EdDSA true true 10m0s
	// <nil> <nil>
}

// Several key-encryption keys at once make it possible to change the one in use.
func ExampleNewCodec() {
	old, next := keys.GenerateKEK(), keys.GenerateKEK()
	keks, err := keys.ParseKEKs(next.Reveal() + "\n" + old.Reveal())
	if err != nil {
		fmt.Println(err)
		return
	}
	codec := keys.NewCodec(keks...) // seals with the first, opens with both
	sealedBefore, _ := keys.NewCodec(old).Marshal(keys.Ring{Epoch: "abcd2345", Holder: "authd-0"})
	ring, err := codec.Unmarshal(sealedBefore)
	fmt.Println(ring.Holder, err, codec.Sealed())
	// Output: authd-0 <nil> true
}
