package revocation_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/authd-project/authd/revocation"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a feed that the test plays by hand.
type tape chan *call

// call is one Follow, as the mirror made it.
type call struct {
	from   revocation.Position
	batch  chan revocation.Batch
	result chan error
	end    chan error
}

func (f tape) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	c := &call{from, make(chan revocation.Batch), make(chan error), make(chan error)}
	select {
	case f <- c:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		select {
		case b := <-c.batch:
			err := apply(b)
			c.result <- err
			if err != nil {
				return err
			}
		case err := <-c.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// play has the mirror take b and returns what it said.
func (c *call) play(b revocation.Batch) error {
	c.batch <- b
	return <-c.result
}

// run runs m until the test ends and returns its first call to the feed.
func run(t testing.TB, m *revocation.Mirror, feed tape) *call {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- m.Run(ctx, feed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return <-feed
}

// at is a position in the one epoch that most tests need.
func at(seq uint64) revocation.Position { return revocation.Position{Epoch: "e", Seq: seq} }
