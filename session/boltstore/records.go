package boltstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/session"
)

// The top-level bucket "sessions" holds two buckets:
//
//	records   session id (16 bytes) → record as JSON
//	subjects  SHA-256(subject) cut to 16 bytes, session id → nothing
//
// The second is the index by subject. A digest gives all keys one length, so that no subject is a prefix of another.
// A record and its index key are written and deleted together.
var (
	topBucket      = []byte("sessions")
	recordsBucket  = []byte("records")
	subjectsBucket = []byte("subjects")
)

// buckets are the store's buckets in one transaction.
type buckets struct {
	records, subjects *bbolt.Bucket
}

func createBuckets(tx *bbolt.Tx) error {
	top, err := tx.CreateBucketIfNotExists(topBucket)
	if err != nil {
		return err
	}
	_, errRecords := top.CreateBucketIfNotExists(recordsBucket)
	_, errSubjects := top.CreateBucketIfNotExists(subjectsBucket)
	return errors.Join(errRecords, errSubjects)
}

func bucketsOf(tx *bbolt.Tx) buckets {
	top := tx.Bucket(topBucket)
	return buckets{records: top.Bucket(recordsBucket), subjects: top.Bucket(subjectsBucket)}
}

// record is the stored form of a session. Times are Unix nanoseconds. Of an ended session only Subject and Ended remain.
type record struct {
	Subject    string   `json:"sub"`
	Username   string   `json:"username,omitempty"`
	ClientID   string   `json:"client_id,omitempty"`
	Scope      string   `json:"scope,omitempty"`
	AMR        []string `json:"amr,omitempty"`
	ACR        string   `json:"acr,omitempty"`
	AuthTime   int64    `json:"auth_time,omitempty"`
	CreatedAt  int64    `json:"created,omitempty"`
	LastUsedAt int64    `json:"used,omitempty"`
	Address    string   `json:"address,omitempty"`
	UserAgent  string   `json:"agent,omitempty"`
	Generation uint64   `json:"generation,omitempty"`
	Since      int64    `json:"since,omitempty"`
	Replays    int      `json:"replays,omitempty"`
	Thumbprint string   `json:"jkt,omitempty"` // of the key; empty in sessions of bearer tokens, and all there were before
	Ended      int64    `json:"ended,omitempty"`

	Parent session.ID `json:"parent,omitzero"` // none in sessions that began with an authentication, and all there were before
}

func (r *record) ended() bool { return r.Ended != 0 }

func (r *record) session(id session.ID) session.Session {
	if r.ended() {
		return session.Session{ID: id, Subject: r.Subject, EndedAt: time.Unix(0, r.Ended)}
	}
	return session.Session{
		ID: id, Parent: r.Parent, Subject: r.Subject, Username: r.Username, ClientID: r.ClientID, Scope: r.Scope,
		AMR: r.AMR, ACR: r.ACR,
		AuthTime:  time.Unix(0, r.AuthTime),
		CreatedAt: time.Unix(0, r.CreatedAt), LastUsedAt: time.Unix(0, r.LastUsedAt),
		Address: r.Address, UserAgent: r.UserAgent, KeyThumbprint: r.Thumbprint,
		Chain: session.Chain{Generation: r.Generation, Since: time.Unix(0, r.Since), Replays: r.Replays},
	}
}

// get returns the record of id, or nil when there is none.
func (b buckets) get(id session.ID) (*record, error) {
	v := b.records.Get(id[:])
	if v == nil {
		return nil, nil
	}
	r := new(record)
	if err := json.Unmarshal(v, r); err != nil {
		return nil, fmt.Errorf("stored session %v: %w", id, err)
	}
	return r, nil
}

// live returns the session if it is live; otherwise missing says why not.
func (b buckets) live(id session.ID, now time.Time, l session.Limits) (s session.Session, missing, err error) {
	r, err := b.get(id)
	if err != nil {
		return session.Session{}, nil, err
	}
	if r == nil {
		return session.Session{}, session.ErrNotFound, nil
	}
	s = r.session(id)
	switch {
	case r.ended():
		return s, session.ErrEnded, nil
	case s.Expired(now, l):
		return session.Session{}, session.ErrNotFound, nil
	}
	return s, nil, nil
}

func (b buckets) put(s session.Session) error {
	return b.putRecord(s.ID, record{
		Subject: s.Subject, Username: s.Username, ClientID: s.ClientID, Scope: s.Scope,
		AMR: s.AMR, ACR: s.ACR, Parent: s.Parent,
		AuthTime:  s.AuthTime.UnixNano(),
		CreatedAt: s.CreatedAt.UnixNano(), LastUsedAt: s.LastUsedAt.UnixNano(),
		Address: s.Address, UserAgent: s.UserAgent, Thumbprint: s.KeyThumbprint,
		Generation: s.Chain.Generation, Since: s.Chain.Since.UnixNano(), Replays: s.Chain.Replays,
	})
}

// end puts a tombstone in the place of the session.
func (b buckets) end(id session.ID, subject string, now time.Time) error {
	return b.putRecord(id, record{Subject: subject, Ended: now.UnixNano()})
}

func (b buckets) putRecord(id session.ID, r record) error {
	v, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a session: %w", err)
	}
	if err := b.records.Put(id[:], v); err != nil {
		return err
	}
	if key := subjectKey(r.Subject, id); b.subjects.Get(key) == nil { // only the first time: the index page stays clean
		return b.subjects.Put(key, []byte{})
	}
	return nil
}

func (b buckets) remove(id session.ID, subject string) error {
	return errors.Join(b.records.Delete(id[:]), b.subjects.Delete(subjectKey(subject, id)))
}

// ofSubject returns the ids of all records of a subject, ended and expired ones too.
func (b buckets) ofSubject(subject string) (ids []session.ID) {
	digest := subjectDigest(subject)
	c := b.subjects.Cursor()
	for k, _ := c.Seek(digest); bytes.HasPrefix(k, digest); k, _ = c.Next() {
		ids = append(ids, session.ID(k[len(digest):]))
	}
	return ids
}

func subjectDigest(subject string) []byte {
	sum := sha256.Sum256([]byte(subject))
	return sum[:16]
}

func subjectKey(subject string, id session.ID) []byte {
	return append(subjectDigest(subject), id[:]...)
}
