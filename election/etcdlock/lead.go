package etcdlock

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var (
	// errLost is why work's context ends when the leadership does.
	errLost = errors.New("leadership lost")
	// errDeaf ends a campaign that is won without hearing of it.
	errDeaf = errors.New("the election is won, but etcd's watch does not say so")
)

// Lead implements [election.Elector]. While etcd does not answer nobody is elected, and Lead goes on asking.
func (l *Lock) Lead(ctx context.Context, work func(ctx context.Context) error) error {
	for failing := false; ctx.Err() == nil; _ = l.pause(ctx) { // the pause also gives others a turn
		s, err := l.campaign(ctx)
		switch {
		case err == nil:
			failing = false
			if err := l.lead(ctx, s, work); err != nil {
				return err
			}
		case ctx.Err() == nil && !failing:
			failing = true
			l.log.WarnContext(ctx, "cannot stand for election, trying again", "err", err)
		}
	}
	return nil
}

// campaign stands for election until it is won, something fails, or ctx ends.
func (l *Lock) campaign(ctx context.Context) (*session, error) {
	s, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.campaign(); err != nil {
		s.close() // after any failure, as the own key may be in etcd all the same
		return nil, err
	}
	return s, nil
}

// campaign waits until the own key is the oldest. Campaign of package concurrency also returns nil when the own key has
// gone while it waited for the others to go, so etcd is asked once more.
func (s *session) campaign() error {
	var listening sync.WaitGroup
	listening.Go(s.listen)
	err := s.election.Campaign(s.standing, s.lock.identity)
	cause := context.Cause(s.standing)
	s.stand(nil)
	listening.Wait()
	switch {
	case cause != nil:
		return fmt.Errorf("standing for election: %w", cause)
	case err != nil:
		return fmt.Errorf("%w: standing for election: %w", ErrUnavailable, err)
	}
	first, err := s.lock.look(s.alive)
	switch {
	case err != nil:
		return err
	case first.key != s.key || first.created != s.election.Rev():
		return fmt.Errorf("%w while waiting: %q leads", errLost, first.holder)
	}
	return nil
}

// listen ends a campaign that does not hear that it is won, because the watch hangs at a member of etcd that does.
func (s *session) listen() {
	for won := 0; s.lock.pause(s.standing) == nil; {
		first, err := s.lock.look(s.standing)
		if err != nil || first.key != s.key {
			continue
		}
		if won++; won > 1 { // once may be in the very moment of winning
			s.stand(errDeaf)
		}
	}
}

// lead runs work for one leadership and returns its error, unless the error is that the leadership ended. The lease is
// renewed until work has returned, which may take a while after its context has ended.
func (l *Lock) lead(ctx context.Context, s *session, work func(ctx context.Context) error) error {
	l.log.InfoContext(ctx, "leading")
	leading, end := context.WithCancelCause(ctx)
	context.AfterFunc(s.alive, func() { end(context.Cause(s.alive)) })
	watching, stop := context.WithCancel(s.alive)
	var watchers sync.WaitGroup
	watchers.Go(func() { s.observe(watching) })
	watchers.Go(func() { s.check(watching) })
	err := work(leading)
	cause := context.Cause(leading)
	stop()
	watchers.Wait()
	s.close()
	l.log.InfoContext(ctx, "no longer leading", "cause", cause)
	if err != nil && (cause == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, cause)) {
		return fmt.Errorf("leading: %w", err)
	}
	return nil
}

// observe ends the session as soon as etcd announces another leader. It takes any end of the observation for a failure
// of etcd's and observes again.
func (s *session) observe(ctx context.Context) {
	for ; ctx.Err() == nil; _ = s.lock.pause(ctx) {
		for leader := range s.election.Observe(ctx) {
			if kv := leader.Kvs[0]; string(kv.Key) != s.key {
				s.end(fmt.Errorf("%w: %q leads", errLost, kv.Value))
			}
		}
	}
}

// check ends the session when etcd, asked, knows of another leader or of none. Unlike an observation it cannot hang.
func (s *session) check(ctx context.Context) {
	for s.lock.pause(ctx) == nil {
		if first, err := s.lock.look(ctx); err == nil && first.key != s.key {
			s.end(fmt.Errorf("%w: %q leads", errLost, first.holder))
		}
	}
}
