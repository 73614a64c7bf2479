package httpfeed_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/authd-project/authd/revocation"
	"github.com/authd-project/authd/revocation/httpfeed"
)

// BenchmarkBoot fills a verifier's mirror with a million sessions over HTTP.
func BenchmarkBoot(b *testing.B) {
	const million = 1_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	entries := make(beats, million)
	for i := range entries {
		entries[i] = revocation.Entry{Kind: revocation.Session, Expires: 1<<32 - 1}
		binary.LittleEndian.PutUint64(entries[i].ID[:], rng.Uint64())
		binary.LittleEndian.PutUint64(entries[i].ID[8:], rng.Uint64()|1)
	}
	first := true
	near := run(b, once{&first, entries}, revocation.MirrorConfig{})
	server, _ := serve(b, httpfeed.HandlerConfig{Feed: near})
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		far, done := revocation.NewMirror(revocation.MirrorConfig{History: -1}), make(chan error)
		go func() { done <- far.Run(ctx, proven{newClient(b, server.URL), cancel}) }()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		if n := far.Status().Entries[revocation.Session]; n != million {
			b.Fatalf("%d entries", n)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/boot")
}

// once is beats that sends its entries the first time only.
type once struct {
	first *bool
	beats
}

func (o once) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return o.beats.Follow(ctx, from, func(b revocation.Batch) error {
		if !*o.first {
			b.Entries = nil
		}
		*o.first = false
		return apply(b)
	})
}

// proven is a feed that calls stop once its follower has taken a proof.
type proven struct {
	revocation.Feed
	stop func()
}

func (p proven) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return p.Feed.Follow(ctx, from, func(b revocation.Batch) error {
		err := apply(b)
		if !b.AsOf.IsZero() {
			p.stop()
		}
		return err
	})
}
