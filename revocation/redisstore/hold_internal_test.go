package redisstore

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/authd-project/authd/revocation"
)

// What a mirror read before the set went live may lack what others have written back to it since.
func TestHoldingNeedsProofSinceLive(t *testing.T) {
	start := time.Now().Add(-time.Minute)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	m := revocation.NewMirror(revocation.MirrorConfig{})
	s := &Store{cfg: Config{Mirror: m, Logger: slog.New(slog.DiscardHandler), Now: time.Now}, kicked: make(chan struct{}, 1)}
	prove := func(epoch string, asOf time.Time) {
		t.Helper()
		ctx, end := context.WithCancel(t.Context())
		batch := revocation.Batch{Position: revocation.Position{Epoch: epoch, Seq: 1}, AsOf: asOf}
		if err := m.Run(ctx, once{batch, end}); err != nil {
			t.Fatal(err)
		}
	}
	step := func(p pulse, want int) {
		t.Helper()
		s.learn(p)
		if len(s.held) != want {
			t.Fatalf("after %+v: holds %v, want %d epochs", p, s.held, want)
		}
	}
	prove("a", at(1))
	step(pulse{epoch: "a", sent: at(0)}, 0)             // not live
	step(pulse{epoch: "a", sent: at(2), live: true}, 0) // live since, and read before
	step(pulse{epoch: "a", sent: at(3), live: true}, 0)
	prove("a", at(4))
	step(pulse{epoch: "a", sent: at(5), live: true}, 1)
	step(pulse{epoch: "b", sent: at(6), live: true}, 1) // another epoch, which was not read
	prove("b", at(5))
	step(pulse{epoch: "b", sent: at(7), live: true}, 1)
	prove("b", at(8))
	step(pulse{epoch: "b", sent: at(9), live: true}, 2)
}

// once is a feed of one batch.
type once struct {
	batch revocation.Batch
	end   func()
}

func (o once) Follow(ctx context.Context, _ revocation.Position, apply func(revocation.Batch) error) error {
	defer o.end()
	return apply(o.batch)
}
