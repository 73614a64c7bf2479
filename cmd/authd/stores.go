package main

import (
	"context"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/httpapi"
	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/revocation"
	revocationbolt "github.com/authd-project/authd/revocation/boltstore"
	revocationredis "github.com/authd-project/authd/revocation/redisstore"
	"github.com/authd-project/authd/session"
	sessionbolt "github.com/authd-project/authd/session/boltstore"
	sessionredis "github.com/authd-project/authd/session/redisstore"
)

// stores are where sessions and revocations are kept, as the settings choose.
type stores struct {
	sessions    session.Store
	revocations revocation.Store
}

func (a *app) openStores(ctx context.Context, file *boltfile.File) (st stores, err error) {
	if a.cfg.Redis == "" {
		st, err = a.openEmbedded(file)
	} else {
		st, err = a.openRedis(ctx, file)
	}
	if err != nil {
		return stores{}, err
	}
	st = a.tracedStores(st)
	a.jobs = append(a.jobs, func(ctx context.Context) error { return a.mirror.Run(ctx, st.revocations) })
	return st, nil
}

func (a *app) openEmbedded(file *boltfile.File) (stores, error) {
	revocations, err := revocationbolt.Open(file, revocationbolt.Options{Logger: a.log})
	if err != nil {
		return stores{}, err
	}
	sessions, err := sessionbolt.Open(file, sessionbolt.Options{
		Limits: a.cfg.sessionLimits(), KeepEnded: a.keepEnded(), Logger: a.log,
	})
	if err != nil {
		return stores{}, err
	}
	a.jobs = append(a.jobs, revocations.Run, sessions.Run)
	return stores{sessions, revocations}, nil
}

func (a *app) openRedis(ctx context.Context, file *boltfile.File) (stores, error) {
	client, err := a.connections.redis()
	if err != nil {
		return stores{}, err
	}
	if err := enterRedis(ctx, client); err != nil {
		return stores{}, err
	}
	sessions, err := sessionredis.New(sessionredis.Config{
		Client: client, Limits: a.cfg.sessionLimits(), KeepEnded: a.keepEnded(), Replicas: a.cfg.RedisReplicas, Logger: a.log,
		Revoked: func() iter.Seq[session.ID] { return revokedSessions(a.mirror) },
	})
	if err != nil {
		return stores{}, err
	}
	revocations, err := revocationredis.Open(ctx, revocationredis.Config{
		Client: client, Mirror: a.mirror, Replicas: a.cfg.RedisReplicas, Logger: a.log,
		Memory: epochMemory{file}, SharedMemory: a.cfg.Election == "solo",
		Restored: func(ctx context.Context, entries []revocation.Entry) error { return endAgain(ctx, sessions, entries) },
	})
	if err != nil {
		return stores{}, err
	}
	a.storeChecks = append(a.storeChecks, httpapi.Check{Name: "redis", Probe: func(context.Context) error { return revocations.Ready() }})
	a.jobs = append(a.jobs, revocations.Run, sessions.Run)
	return stores{sessions, revocations}, nil
}

// revokedSessions yields the sessions that a mirror knows to be revoked.
func revokedSessions(m *revocation.Mirror) iter.Seq[session.ID] {
	return func(yield func(session.ID) bool) {
		for e := range m.All() {
			if e.Kind == revocation.Session && !yield(session.ID(e.ID)) {
				return
			}
		}
	}
}

// keepEnded is how long a session is remembered as ended: longer than any of its tokens lives.
func (a *app) keepEnded() time.Duration { return a.tokenLife + time.Hour }

// endAgain ends the sessions whose revocations Redis had lost: it may have lost the end of their records too, and a
// refresh token must not come back to life when the revocation has expired.
func endAgain(ctx context.Context, sessions session.Store, entries []revocation.Entry) error {
	var ids []session.ID
	for _, e := range entries {
		if e.Kind == revocation.Session {
			ids = append(ids, session.ID(e.ID))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return sessions.End(ctx, ids...)
}

// epochMemory remembers the epoch of the revocation set in the data folder, apart from the Redis that may lose it.
type epochMemory struct{ file *boltfile.File }

func (epochMemory) names() (bucket, key []byte) { return []byte("authd"), []byte("revocation_epoch") }

// LastEpoch implements redisstore.Memory.
func (m epochMemory) LastEpoch(context.Context) (epoch string, err error) {
	bucket, key := m.names()
	err = m.file.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(bucket); b != nil {
			epoch = string(b.Get(key))
		}
		return nil
	})
	return epoch, err
}

// RememberEpoch implements redisstore.Memory.
func (m epochMemory) RememberEpoch(ctx context.Context, epoch string) error {
	bucket, key := m.names()
	return m.file.Update(ctx, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		return b.Put(key, []byte(epoch))
	})
}
