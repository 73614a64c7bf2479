package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

var (
	// ErrUnconfirmed is part of an error of Add when fewer replicas than wanted have the entries: a failover may lose
	// them for a moment. The store goes on trying.
	ErrUnconfirmed = errors.New("not confirmed by enough replicas, retry")
	// ErrEvicts is a server that may evict keys when memory runs short, and would forget revocations.
	ErrEvicts = errors.New("redis evicts keys: set maxmemory-policy to noeviction")
)

// Store implements [revocation.Store] for an authd. Methods may be called concurrently.
type Store struct {
	cfg    Config
	server server
	feed   *Feed
	id     string // unique for each Store

	kicked  chan struct{} // holds a value when Run should not wait for its next round
	beating chan struct{} // holds a value while a heartbeat is on its way; it guards the next two
	// lostSince is when Stats.Lost became what it is, and lostSaid the last one that was logged.
	lostSince time.Time
	lostSaid  string

	mu          sync.Mutex
	pulse       pulse     // of the latest heartbeat
	wrote       time.Time // when Run last found that the server takes writes
	writeErr    error     // of the latest attempt
	writtenBack string    // the epoch under which everything held has been written back
	held        []string  // the latest epochs whose live set the mirror has read in full
	remembered  string    // what Memory has
	pending     pending   // entries that Add was called with and has not acknowledged
	restored    uint64
}

var _ revocation.Store = (*Store)(nil)

// Open connects, and announces this process to the others that share the set. It fails when the configuration is
// invalid, the server cannot be reached or evicts keys. The set does not go live without [Store.Run].
func Open(ctx context.Context, cfg Config) (*Store, error) {
	const doing = "opening the revocation store"
	cfg, err := cfg.withDefaults()
	server, serverErr := newServer(cfg.Client, cfg.Timeout, block)
	if err := errors.Join(err, serverErr); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	feed, err := NewFeed(cfg.Client, FeedConfig{Timeout: cfg.Timeout, Logger: cfg.Logger, Now: cfg.Now})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	s := &Store{
		cfg: cfg, server: server, feed: feed, id: rand.Text(), pending: pending{},
		beating: make(chan struct{}, 1), kicked: make(chan struct{}, 1),
	}
	if err := errors.Join(s.refuseEviction(ctx), s.warnOfReplicas(ctx)); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if _, err := s.beat(ctx); err != nil {
		return nil, unavailable(doing, err)
	}
	return s, nil
}

// Follow implements [revocation.Feed], as [Feed.Follow] does.
func (s *Store) Follow(ctx context.Context, from revocation.Position, apply func(revocation.Batch) error) error {
	return s.feed.Follow(ctx, from, apply)
}

// Add implements [revocation.Store]. It returns nil once the entries are in the set, the configured number of replicas
// have them, and the mirror of this process has. After an error that wraps [revocation.ErrUnavailable] the store keeps
// the entries, and [Store.Run] goes on adding them until they are.
func (s *Store) Add(ctx context.Context, entries ...revocation.Entry) error {
	for _, e := range entries {
		if err := e.Validate(); err != nil {
			return err
		}
	}
	if len(entries) == 0 {
		return nil
	}
	const doing = "adding revocations"
	if err := ctx.Err(); err != nil {
		return unavailable(doing, err)
	}
	s.mu.Lock()
	s.pending.begin(entries)
	s.mu.Unlock()
	if err := s.add(ctx, entries); err != nil {
		s.mu.Lock()
		s.pending.failed(entries)
		s.mu.Unlock()
		return unavailable(doing, err)
	}
	return nil
}

// maxEpochs is how many times in a row the set may have another epoch than the one just learned.
const maxEpochs = 3

// add writes entries, which are pending, under the current epoch, and then counts them as done.
func (s *Store) add(ctx context.Context, entries []revocation.Entry) error {
	var err error
	for range maxEpochs {
		epoch := s.epoch()
		_, err = s.write(ctx, epoch, entries, s.cfg.Replicas)
		switch {
		case isEpochOver(err):
			if err := s.learnEpoch(ctx, epoch); err != nil {
				return err
			}
		case err != nil:
			return err
		case s.settle(epoch, entries):
			return nil
		default:
			err = errEpochOver
		}
	}
	return err
}

var errEpochOver = errors.New("the set has begun a new epoch")

func isEpochOver(err error) bool { return redis.HasErrorPrefix(err, "EPOCH") }

func (s *Store) epoch() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pulse.epoch
}

// settle hands entries that were written under epoch over to the mirror. It refuses when this process has learned of
// another epoch meanwhile: the server that took them may no longer be the primary, and the write-back to the new one
// may have passed over entries that were still on their way.
func (s *Store) settle(epoch string, entries []revocation.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pulse.epoch != epoch {
		return false
	}
	s.cfg.Mirror.Merge(entries...)
	s.pending.done(entries)
	return true
}

const (
	// perScript is how many entries one script takes: no more than 1 ms of the server's time.
	perScript = 200
	// perTrip is how many entries go into one round trip.
	perTrip = 10 * perScript
)

// write runs the script that adds entries, and waits for replicas. It returns the entries that were news.
func (s *Store) write(ctx context.Context, epoch string, entries []revocation.Entry, replicas int) (
	news []revocation.Entry, err error,
) {
	for trip := range slices.Chunk(entries, perTrip) {
		var answers []*redis.Cmd
		var confirmed *redis.Cmd
		err := s.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) {
			answers = answers[:0]
			for part := range slices.Chunk(trip, perScript) {
				args := make([]any, 0, 1+len(part))
				args = append(args, epoch)
				for _, e := range part {
					args = append(args, encode(e))
				}
				answers = append(answers, p.run(ctx, addScript, args...))
			}
			confirmed = s.wait(ctx, p, replicas)
		})
		if err == nil {
			err = enough(confirmed, replicas)
		}
		if err != nil {
			return news, err
		}
		for i, part := range slices.Collect(slices.Chunk(trip, perScript)) {
			numbers, err := answers[i].Int64Slice()
			if err != nil {
				return news, err
			}
			for _, n := range numbers {
				news = append(news, part[n-1])
			}
		}
	}
	return news, nil
}

// wait queues WAIT behind what was queued before: it counts the writes of its own connection. Running into its timeout
// is an answer, not an error: the number is what counts.
func (s *Store) wait(ctx context.Context, p pipe, replicas int) *redis.Cmd {
	if replicas == 0 {
		return nil
	}
	return p.Do(ctx, "WAIT", replicas, (s.cfg.Timeout / 2).Milliseconds())
}

// enough reads the answer to WAIT.
func enough(confirmed *redis.Cmd, replicas int) error {
	if confirmed == nil {
		return nil
	}
	n, err := confirmed.Int()
	switch {
	case err != nil:
		return fmt.Errorf("waiting for replicas: %w", err)
	case n < replicas:
		return fmt.Errorf("%w: %d of %d have it", ErrUnconfirmed, n, replicas)
	}
	return nil
}

// refuseEviction returns an error for a server that forgets by itself.
func (s *Store) refuseEviction(ctx context.Context) error {
	info, err := s.info(ctx, "memory")
	if err != nil {
		return err
	}
	if policy := infoField(info, "maxmemory_policy"); policy != "" && policy != "noeviction" {
		return fmt.Errorf("maxmemory-policy %s: %w", policy, ErrEvicts)
	}
	return nil
}

// warnOfReplicas tells when there are replicas that the configuration does not count on.
func (s *Store) warnOfReplicas(ctx context.Context) error {
	info, err := s.info(ctx, "replication")
	if err != nil {
		return err
	}
	if n := infoField(info, "connected_slaves"); s.cfg.Replicas == 0 && n != "" && n != "0" {
		s.cfg.Logger.Warn("redis has replicas, but revocations do not wait for them: a primary that was cut off and replaced"+
			" would be believed", "replicas", n)
	}
	return nil
}

func (s *Store) info(ctx context.Context, section string) (string, error) {
	var cmd *redis.StringCmd
	err := s.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) { cmd = p.Info(ctx, section) })
	if err != nil {
		return "", unavailable("asking redis about itself", err)
	}
	return cmd.Val(), nil
}

// infoField returns a field of an answer to INFO, or "".
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Stats is what a store says about itself, for metrics and readiness.
type Stats struct {
	Epoch    string        // of the set, as of the latest heartbeat; changes when the server may have lost entries
	Live     bool          // every authd has written back what it holds
	Lost     string        // epoch whose entries no authd has held; see [Store.AcceptLoss]
	Peers    int           // other authds that share the set
	Pending  int           // entries that are not acknowledged yet
	Restored uint64        // entries that the server had lost and this process has written back
	Age      time.Duration // of the latest heartbeat
}

// Stats returns the store's state.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Epoch: s.pulse.epoch, Live: s.pulse.live, Lost: s.pulse.lost, Peers: len(s.pulse.peers),
		Pending: len(s.pending), Restored: s.restored, Age: s.cfg.Now().Sub(s.pulse.sent),
	}
}

// Ready returns nil while the server takes what this process writes, as [Store.Run] finds out about once a second. One that
// is full goes on answering who reads, and mirrors stay fresh; but nobody can log in or out. The error wraps
// [revocation.ErrUnavailable].
func (s *Store) Ready() error {
	s.mu.Lock()
	wrote, err := s.wrote, s.writeErr
	s.mu.Unlock()
	const doing = "writing to redis"
	switch age := s.cfg.Now().Sub(wrote); {
	case age <= s.cfg.Lease:
		return nil
	case wrote.IsZero():
		return unavailable(doing, errors.Join(errors.New("not done yet"), err))
	default:
		return unavailable(doing, errors.Join(fmt.Errorf("not possible for %v", age.Truncate(time.Millisecond)), err))
	}
}
