package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

const (
	// block is how long a read waits for the next change: well within the second that [revocation.Feed] promises, and a
	// tenth of the usual bound on staleness.
	block = 500 * time.Millisecond
	// page is the most changes read at a time, and scanPage the most entries: each less than 2 ms of the server's time.
	page     = 1000
	scanPage = 500
)

// FeedConfig may be left zero.
type FeedConfig struct {
	Timeout time.Duration    // for one round trip, beyond the half second that a read waits for changes; default 1 s
	Logger  *slog.Logger     // default: discards
	Now     func() time.Time // default time.Now; must carry a monotonic reading
}

// Feed is a [revocation.Feed] for a mirror in a process that may only read, such as a service that verifies tokens.
type Feed struct {
	server server
	log    *slog.Logger
	now    func() time.Time
}

var _ revocation.Feed = (*Feed)(nil)

// NewFeed returns a feed over client, which must be a *redis.Client (also one that follows Sentinel) or a
// *redis.ClusterClient, made with ContextTimeoutEnabled. It stays the caller's to close. NewFeed does not talk to the
// server yet; it fails only for an invalid configuration.
func NewFeed(client redis.UniversalClient, cfg FeedConfig) (*Feed, error) {
	server, err := newServer(client, cfg.Timeout, block)
	if err != nil {
		return nil, fmt.Errorf("revocation feed: %w", err)
	}
	f := &Feed{server: server, log: cfg.Logger, now: cfg.Now}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	return f, nil
}

// Follow implements [revocation.Feed]. While the set is not live it delivers changes without proofs. A position is held
// for at least five minutes; after that, and in each new epoch, the whole set is read again.
func (f *Feed) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	t := follower{feed: f, apply: apply, at: from}
	for {
		if err := t.round(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

type follower struct {
	feed      *Feed
	apply     func(revocation.Batch) error
	at        revocation.Position
	wait      time.Duration // how long the next read may block; zero until the follower has caught up
	sightings sightings
	entries   []revocation.Entry // scratch
}

// errGap is a stream whose numbers are not dense. Status would have told; it is found by reading too.
var errGap = errors.New("changes are missing from the stream")

// round asks where the set is and reads what is new, in one round trip.
func (t *follower) round(ctx context.Context) error {
	sent := t.feed.now()
	s, changes, err := t.read(ctx)
	if err != nil {
		return unavailable("reading revocations", err)
	}
	switch {
	case s.epoch == "": // lost, and no authd has begun a new epoch yet
		t.wait = 0
		if err := t.apply(revocation.Batch{}); err != nil {
			return err
		}
		return pause(ctx, block/2)
	case s.epoch != t.at.Epoch || !s.holds(t.at.Seq):
		t.wait, t.sightings = 0, nil
		return t.snapshot(ctx, s)
	}
	return t.deliver(s, sent, changes)
}

// read sends one round's request.
func (t *follower) read(ctx context.Context) (status, []redis.XMessage, error) {
	var where *redis.Cmd
	var changes *redis.XStreamSliceCmd
	err := t.feed.server.roundTrip(ctx, t.wait, func(ctx context.Context, p pipe) {
		where = p.run(ctx, statusScript)
		args := redis.XReadArgs{
			Streams: []string{changesKey, strconv.FormatUint(t.at.Seq, 10) + "-0"}, Count: page, Block: t.wait,
		}
		if t.wait == 0 {
			args.Block = -1 // do not block; zero would be for ever
		}
		changes = p.XRead(ctx, &args)
	})
	if err != nil {
		return status{}, nil, err
	}
	s, err := statusOf(where)
	if err != nil || len(changes.Val()) == 0 {
		return s, nil, err
	}
	return s, changes.Val()[0].Messages, nil
}

// deliver applies changes, and the proof if they reach as far as the set did when it was asked.
func (t *follower) deliver(s status, sent time.Time, changes []redis.XMessage) error {
	t.entries = t.entries[:0]
	seq := t.at.Seq
	now := t.feed.now()
	for _, m := range changes {
		e, err := changeOf(m, seq+1)
		if errors.Is(err, errGap) {
			t.feed.log.Warn("revocation feed: reading everything again", "err", err, "position", t.at.String())
			t.at, t.wait = revocation.Position{}, 0
			return nil
		}
		if err != nil {
			return unavailable("reading revocations", err)
		}
		if seq++; !e.Expired(now) {
			t.entries = append(t.entries, e)
		}
	}
	b := revocation.Batch{Entries: t.entries}
	if seq != t.at.Seq {
		t.at.Seq = seq
		b.Position = t.at
	}
	b.AsOf = t.proof(s, sent)
	switch {
	case seq < s.seq: // there is more
		t.wait = 0
	case s.live:
		t.wait = block
	default: // it may go live at any moment
		t.wait = block / 5
	}
	return t.apply(b)
}

// proof returns the time as of which the follower, at its position, holds everything; zero when that is not known.
func (t *follower) proof(s status, sent time.Time) time.Time {
	if s.replicas > 0 {
		// Confirmed or not, every answer is a sighting. One that was seen when the set was ahead still vouches for all
		// that had been acknowledged by then.
		sent = t.sightings.add(sent, s.beat, s.confirmed)
	}
	if !s.live || t.at.Seq < s.seq {
		return time.Time{}
	}
	return sent
}

// changeOf returns the entry of a change, whose number must be want.
func changeOf(m redis.XMessage, want uint64) (revocation.Entry, error) {
	number, _, _ := strings.Cut(m.ID, "-")
	if number != strconv.FormatUint(want, 10) {
		return revocation.Entry{}, fmt.Errorf("%w: got %s after %d", errGap, m.ID, want-1)
	}
	value, _ := m.Values["e"].(string)
	return decode(value)
}
