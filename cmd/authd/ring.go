package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/authd-project/authd/election"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/keys"
	"github.com/authd-project/authd/revocation"
)

// startPolicy opens the key ring and returns the policy for it, after it noted down how long tokens may live: those
// issued here before, and those of other authd that the ring knows of.
func (a *app) startPolicy(ctx context.Context, file *boltfile.File) (keys.Policy, error) {
	policy := a.cfg.keyPolicy()
	codec, err := a.ringCodec()
	if err != nil {
		return policy, err
	}
	a.codec = codec
	if a.ring, err = a.openRing(file, codec, policy); err != nil {
		return policy, err
	}
	ring, err := a.loadRing(ctx)
	if err != nil {
		return policy, err
	}
	own, err := startTokenLife(ctx, file, a.cfg.AccessTTL, time.Now())
	if err != nil {
		return policy, err
	}
	a.tokenLife = max(own, ringTokenLife(ring, policy))
	policy.TokenLife = own
	return policy, nil
}

// openKeys follows the key ring, and makes this process a candidate for its keeper.
func (a *app) openKeys(policy keys.Policy, revocations revocation.Store) (err error) {
	revoked := newRevokedKeys(a.mirror)
	published, kept, pass := a.tracedRing()
	if a.view, err = keys.NewView(keys.ViewConfig{Store: published, Policy: policy, Revoked: revoked, Log: a.log}); err != nil {
		return err
	}
	if err := a.openReports(policy); err != nil {
		return err
	}
	a.rotator, err = keys.NewRotator(keys.RotatorConfig{
		Store: kept, Policy: policy, Holder: a.identity, Revoked: revoked, Reports: a.reports, View: a.view, Pass: pass, Log: a.log,
		Revocations: keys.KeyRevokerFunc(func(ctx context.Context, kid string, until time.Time) error {
			return revokeKey(ctx, revocations, a.mirror, kid, until)
		}),
	})
	if err != nil {
		return err
	}
	a.jobs = append(a.jobs, a.view.Run, a.awaitRing)
	return a.stand(a.identity)
}

// stand makes this process a candidate. What ends its candidacy for good ends the process: it must not go on serving
// while nobody notices that it will never rotate a key.
func (a *app) stand(identity string) error {
	elector, err := a.connections.openElection(candidacy{
		backend: a.cfg.Election, name: electionName, lease: a.cfg.KubernetesLease, identity: identity, log: a.log,
	})
	if err != nil {
		return err
	}
	a.leadership, err = election.NewObserver(election.ObserverConfig{
		Elector: elector, Identity: identity, Lease: a.cfg.ElectionLease, Term: a.term, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.jobs = append(a.jobs, a.leadership.Run, func(ctx context.Context) error {
		return a.leadership.Lead(ctx, a.rotator.Lead)
	}, a.watchTransitions)
	return nil
}

// term tells in which term the key ring was claimed last, and by whom, as this process sees it.
func (a *app) term() (holder string, term uint64) {
	ring, _, err := a.view.Ring()
	if err != nil {
		return "", 0
	}
	return ring.Holder, uint64(ring.Term)
}

// ringCodec opens and seals the ring. Only a ring of this process's own gets a key-encryption key made for it.
func (a *app) ringCodec() (*keys.Codec, error) {
	own := !a.cfg.shared() && a.cfg.KEKFile == filepath.Join(a.cfg.Data, "kek")
	text, err := readOrMakeSecret(a.cfg.KEKFile, own)
	if err != nil {
		return nil, fmt.Errorf("kek-file: %w", err)
	}
	keks, err := keys.ParseKEKs(text)
	if err != nil {
		return nil, fmt.Errorf("kek-file %s: %w", a.cfg.KEKFile, err)
	}
	a.keks.Store(&text)
	return keys.NewCodec(keks...), nil
}

// ringTimeout bounds the first look at the ring.
const ringTimeout = 10 * time.Second

// loadRing fails when there is a ring that this process cannot open, or cannot reach: better now than when it is to
// sign. A ring that is still empty is worth waiting for.
func (a *app) loadRing(ctx context.Context) (keys.Ring, error) {
	ctx, cancel := context.WithTimeout(ctx, ringTimeout)
	defer cancel()
	ring, _, err := a.ring.Load(ctx)
	switch {
	case err != nil:
		return keys.Ring{}, a.ringError(err)
	case ring.Epoch == "" && a.cfg.shared():
		a.log.Info("the key ring is empty: waiting for a leader to make it", "keys", a.cfg.Keys, "election", a.cfg.Election)
	}
	return ring, nil
}

// awaitRing ends once the view has the ring. It fails when the ring that somebody made meanwhile cannot be opened:
// waiting would not mend that.
func (a *app) awaitRing(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-a.view.Ready():
			return nil
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		_, _, err := a.ring.Load(ctx)
		if err != nil && ctx.Err() == nil && !errors.Is(err, keys.ErrUnavailable) {
			return a.ringError(err)
		}
	}
}

// awaitLeader returns once somebody leads, this process or another, and has claimed the ring.
func (a *app) awaitLeader(ctx context.Context) error {
	for a.leadership.Sight().Term == 0 {
		select {
		case <-ctx.Done():
			return errors.New("nobody leads")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (a *app) ringError(err error) error {
	return fmt.Errorf("keys %s, opened with kek-file %s: %w", a.cfg.Keys, a.cfg.KEKFile, err)
}

// revokeKey puts a signing key on the revocation set.
func revokeKey(ctx context.Context, store revocation.Store, mirror *revocation.Mirror, kid string, until time.Time) error {
	entry := revocation.Entry{Kind: revocation.Key, ID: revocation.IDOf(revocation.Key, kid), Expires: revocation.Cutoff(until)}
	if err := store.Add(ctx, entry); err != nil {
		return err
	}
	mirror.Merge(entry)
	return nil
}

// revokedKeys asks the mirror about kids.
type revokedKeys struct {
	mirror *revocation.Mirror
	none   revocation.ID // that nothing has; zero will not do, as anybody may revoke the session of that id
}

func newRevokedKeys(mirror *revocation.Mirror) revokedKeys {
	k := revokedKeys{mirror: mirror}
	_, _ = rand.Read(k.none[:]) // never fails (crypto/rand)
	return k
}

// Revoked implements [keys.RevokedKeys].
func (k revokedKeys) Revoked(kid string) bool {
	err := k.mirror.Check(context.Background(), revocation.Claims{
		Token: k.none, Session: k.none, Subject: k.none, Client: k.none,
		Key: revocation.IDOf(revocation.Key, kid), IssuedAt: math.MaxInt64, // after any cut-off
	})
	return errors.Is(err, revocation.ErrRevoked)
}

// processIdentity names this process to people by its host, and is unique: two processes with one name could not be told
// apart.
func processIdentity() string { return hostname() + "-" + newSecret()[:8] }

func hostname() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		return "authd"
	}
	return host
}
