package revocation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/authd-project/authd/revocation"
)

// memory is a feed of a few entries, complete at any time. The sub-packages have real ones.
type memory []revocation.Entry

func (f memory) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		asOf := time.Now()
		if err := apply(revocation.Batch{
			Entries:  f,
			Position: revocation.Position{Epoch: "memory", Seq: uint64(len(f))},
			AsOf:     asOf,
		}); err != nil {
			return err
		}
		select {
		case <-beat.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func ExampleMirror() {
	ended := revocation.IDOf(revocation.Session, "AAECAwQFBgcICQoLDA0ODw")
	feed := memory{{Kind: revocation.Session, ID: ended, Expires: time.Now().Add(10 * time.Minute).Unix()}}
	mirror := revocation.NewMirror(revocation.MirrorConfig{MaxStaleness: 5 * time.Second})
	ctx := context.Background()
	fmt.Println("at first: ", mirror.Check(ctx, revocation.Claims{}))

	running, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- mirror.Run(running, feed) }()
	for !mirror.Status().Fresh {
		time.Sleep(time.Millisecond) // a service answers 503 meanwhile
	}

	fmt.Println("logged out:", mirror.Check(ctx, revocation.Claims{Session: ended}))
	fmt.Println("logged in: ", mirror.Check(ctx, revocation.Claims{
		Session:  revocation.IDOf(revocation.Session, "Dw4NDAsKCQgHBgUEAwIBAA"),
		Subject:  revocation.IDOf(revocation.Subject, "alice"),
		IssuedAt: time.Now().Unix(),
	}))
	stop()
	fmt.Println("at last:   ", <-done)
	// Output:
	// at first:  revocation unavailable: the mirror has not been filled yet
	// logged out: revoked: by sid
	// logged in:  <nil>
	// at last:    <nil>
}
