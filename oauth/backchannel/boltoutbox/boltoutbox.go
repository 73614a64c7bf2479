// Package boltoutbox keeps notices of logouts in the file of the process's data folder, so that a process that dies goes
// on with them when it starts again. Each process has its own: one that never comes back, or comes back without its data
// folder, takes with it what was not delivered yet.
package boltoutbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/boltfile"
	"github.com/authd-project/authd/oauth/backchannel"
	"github.com/authd-project/authd/session"
)

// Outbox implements [backchannel.Outbox].
type Outbox struct{ file *boltfile.File }

var _ backchannel.Outbox = (*Outbox)(nil)

// The bucket holds session id (16 bytes) → record as JSON.
var bucketName = []byte("backchannel_outbox")

// record is the stored form of a notice. Noted is in Unix milliseconds.
type record struct {
	Subject  string `json:"sub"`
	ClientID string `json:"client_id"`
	Noted    int64  `json:"noted"`
}

// Open prepares the file's bucket. The file stays the caller's.
func Open(ctx context.Context, file *boltfile.File) (*Outbox, error) {
	err := file.Update(ctx, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketName)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the outbox of logout notices: %w", err)
	}
	return &Outbox{file}, nil
}

// Put implements [backchannel.Outbox]: it returns nil once the notices are synced to disk.
func (o *Outbox) Put(ctx context.Context, notices ...backchannel.Notice) error {
	err := o.file.Update(ctx, func(tx *bbolt.Tx) error {
		for _, n := range notices {
			value, err := json.Marshal(record{Subject: n.Subject, ClientID: n.ClientID, Noted: n.Noted.UnixMilli()})
			if err != nil {
				return err
			}
			if err := tx.Bucket(bucketName).Put(n.Session[:], value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storing logout notices: %w", err)
	}
	return nil
}

// Delete implements [backchannel.Outbox].
func (o *Outbox) Delete(ctx context.Context, id session.ID) error {
	err := o.file.Update(ctx, func(tx *bbolt.Tx) error { return tx.Bucket(bucketName).Delete(id[:]) })
	if err != nil {
		return fmt.Errorf("deleting a logout notice: %w", err)
	}
	return nil
}

// All implements [backchannel.Outbox].
func (o *Outbox) All(context.Context) ([]backchannel.Notice, error) {
	var all []backchannel.Notice
	err := o.file.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketName).ForEach(func(key, value []byte) error {
			var r record
			if err := json.Unmarshal(value, &r); err != nil {
				return err
			}
			all = append(all, backchannel.Notice{
				Session: session.ID(key), Subject: r.Subject, ClientID: r.ClientID, Noted: time.UnixMilli(r.Noted),
			})
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading logout notices: %w", err)
	}
	return all, nil
}
