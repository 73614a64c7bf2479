package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// pulse is what a heartbeat brought back; see beat.lua.
type pulse struct {
	sent   time.Time
	epoch  string
	live   bool
	beat   uint64
	at     uint64 // ms of the server's clock
	begun  bool
	lost   string
	peers  []string
	proven bool // replicas have confirmed it

	liveSince time.Time // before this process first heard that the epoch is live; zero while it is not
}

// beat sends a heartbeat, and begins an epoch if the set has none that belongs to the server's data.
func (s *Store) beat(ctx context.Context) (pulse, error) { return s.beatUnless(ctx, nil) }

// learnEpoch sends a heartbeat if the epoch that this process knows is still the given one.
func (s *Store) learnEpoch(ctx context.Context, over string) error {
	_, err := s.beatUnless(ctx, func() bool { return s.epoch() != over })
	return err
}

// beatUnless sends a heartbeat, unless skip says, once it is this caller's turn, that there is no need to.
func (s *Store) beatUnless(ctx context.Context, skip func() bool) (pulse, error) {
	select {
	case s.beating <- struct{}{}:
		defer func() { <-s.beating }()
	case <-ctx.Done():
		return pulse{}, ctx.Err()
	}
	if skip != nil && skip() {
		return pulse{}, nil
	}
	p, err := s.sendBeat(ctx, "", "", false)
	if err == nil && p.epoch == "" {
		p, err = s.beginEpoch(ctx)
	}
	if err != nil {
		return pulse{}, fmt.Errorf("sending a heartbeat: %w", err)
	}
	s.learn(p)
	if s.cfg.Replicas > 0 && p.proven {
		err := s.server.roundTrip(ctx, 0, func(ctx context.Context, q pipe) {
			q.run(ctx, confirmScript, p.epoch, p.beat, p.at)
		})
		if err != nil {
			return pulse{}, fmt.Errorf("publishing a heartbeat: %w", err)
		}
	}
	return p, nil
}

// beginEpoch sends a heartbeat that may begin an epoch.
func (s *Store) beginEpoch(ctx context.Context) (pulse, error) {
	if s.cfg.Memory == nil {
		return s.sendBeat(ctx, rand.Text(), "", false)
	}
	last, err := s.cfg.Memory.LastEpoch(ctx)
	if err != nil {
		return pulse{}, fmt.Errorf("recalling the last epoch of the revocation set: %w", err)
	}
	return s.sendBeat(ctx, rand.Text(), last, last == "" && s.cfg.SharedMemory)
}

func (s *Store) sendBeat(ctx context.Context, name, remembered string, first bool) (pulse, error) {
	args := s.beatArgs(name, remembered, first)
	sent := s.cfg.Now()
	var answered, confirmed *redis.Cmd
	err := s.server.roundTrip(ctx, 0, func(ctx context.Context, p pipe) {
		answered = p.run(ctx, beatScript, args...)
		confirmed = s.wait(ctx, p, s.cfg.Replicas)
	})
	if err != nil {
		return pulse{}, err
	}
	a := answerOf(answered)
	p := pulse{
		sent: sent, epoch: a.text(), live: a.number() == 1, beat: a.number(), at: a.number(), begun: a.number() == 1,
		lost: a.text(),
	}
	for len(a.values) > 0 {
		p.peers = append(p.peers, a.text())
	}
	if a.err != nil {
		return pulse{}, a.err
	}
	err = enough(confirmed, s.cfg.Replicas)
	p.proven = err == nil
	if err != nil && !errors.Is(err, ErrUnconfirmed) {
		return pulse{}, err
	}
	return p, nil
}

func (s *Store) beatArgs(name, remembered string, first bool) []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	firstArg, held := 0, ""
	if first {
		firstArg = 1
	}
	if len(s.held) > 0 {
		held = "," + strings.Join(s.held, ",") + ","
	}
	args := []any{
		s.id, s.cfg.Lease.Milliseconds(), s.pulse.epoch, s.writtenBack, held, s.cfg.Replicas, name, remembered, firstArg,
	}
	for _, peer := range s.pulse.peers {
		args = append(args, peer)
	}
	return args
}

// learn takes over what a heartbeat brought back.
func (s *Store) learn(p pulse) {
	s.mu.Lock()
	was := s.pulse
	switch {
	case p.live && was.live && p.epoch == was.epoch:
		p.liveSince = was.liveSince
	case p.live:
		p.liveSince = p.sent
	}
	s.pulse = p
	s.hold(p)
	s.mu.Unlock()

	if p.epoch != was.epoch {
		s.kick()
	}
	s.report(was, p)
}

// hold notes that this process holds the set of an epoch: its mirror has proved to be complete since the set went live.
// To have written back to it is not enough, as the mirror may not have read yet what others have. Nothing is lost then
// that this process does not hold, but for what comes after its mirror's latest read and whose writer is gone as well.
// The caller has the lock.
func (s *Store) hold(p pulse) {
	m := s.cfg.Mirror.Status()
	if !p.live || m.Position.Epoch != p.epoch || !m.AsOf.After(p.liveSince) || slices.Contains(s.held, p.epoch) {
		return
	}
	s.held = append(s.held, p.epoch)
	s.held = s.held[max(0, len(s.held)-maxHeld):]
}

// maxHeld is how many epochs a process vouches for: more than begin before Memory has heard of the first.
const maxHeld = 16

// kick has Run do its round now.
func (s *Store) kick() {
	select {
	case s.kicked <- struct{}{}:
	default: // it has been kicked
	}
}

// report logs what has changed. Only one heartbeat is on its way at a time, so it needs no lock.
func (s *Store) report(was, p pulse) {
	if p.lost != was.lost {
		s.lostSince = s.cfg.Now()
	}
	log := s.cfg.Logger
	if p.epoch != was.epoch {
		level := slog.LevelWarn
		if was.epoch == "" {
			level = slog.LevelInfo // this process has just started
		}
		log.Log(context.Background(), level, "revocation set: new epoch; it is live once every authd has written back what"+
			" it holds", "epoch", p.epoch, "was", was.epoch, "begun_here", p.begun)
	}
	if p.live && (!was.live || p.epoch != was.epoch) {
		log.Info("revocation set is live", "epoch", p.epoch, "peers", len(p.peers))
	}
	// Not at once: whoever held it may be about to say so.
	if p.lost != "" && p.lost == was.lost && p.lost != s.lostSaid && s.cfg.Now().Sub(s.lostSince) > s.cfg.Lease {
		s.lostSaid = p.lost
		log.Error("revocation set was lost and no authd here held it: out of service until one comes that did, or the loss"+
			" is accepted", "lost_epoch", p.lost)
	}
	if s.cfg.Replicas > 0 && !p.proven && (was.proven || was.epoch == "") {
		log.Warn("heartbeats are not confirmed by enough replicas: verifiers grow stale", "want", s.cfg.Replicas)
	}
}
