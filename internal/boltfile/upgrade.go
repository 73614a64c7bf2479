package boltfile

import (
	"context"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/internal/schema"
)

// Schema is the form in which a program keeps its data in a file.
type Schema struct {
	// Steps lead from one version to the next: the number of them is the program's version. A step adds, and takes nothing
	// away that the release before reads. After a return to that release it is made again, so it must bear being repeated.
	Steps []func(*bbolt.Tx) error
	// Release is the program's, for those that find the file too new.
	Release string
}

// stampBucket holds under stampKey the [schema.Stamp] of the file, as JSON.
var (
	stampBucket = []byte("schema")
	stampKey    = []byte("stamp")
)

// Upgrade brings the file to the program's version, before anything else is done with it. Each step is a transaction
// together with its stamp, so that a program that dies in between goes on where it stood. A file that needs a newer program
// gives [schema.ErrNewer] and is not changed.
func (f *File) Upgrade(ctx context.Context, s Schema) error {
	stored, err := f.Stamp()
	if err != nil {
		return err
	}
	own := schema.Of(len(s.Steps), s.Release)
	entered, err := stored.Enter(own)
	if err != nil || entered == stored {
		return err
	}
	for version := min(stored.Version, own.Version); version < own.Version; version++ {
		at := entered
		at.Version = version + 1
		err := f.Update(ctx, func(tx *bbolt.Tx) error {
			if err := s.Steps[version](tx); err != nil {
				return err
			}
			return putStamp(tx, at)
		})
		if err != nil {
			return fmt.Errorf("bringing the file from version %d to %d: %w", version, version+1, err)
		}
	}
	return f.Update(ctx, func(tx *bbolt.Tx) error { return putStamp(tx, entered) })
}

// Stamp is what the file says of its data; zero where it says nothing.
func (f *File) Stamp() (s schema.Stamp, err error) {
	err = f.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stampBucket)
		if b == nil {
			return nil
		}
		return json.Unmarshal(b.Get(stampKey), &s)
	})
	if err != nil {
		return schema.Stamp{}, fmt.Errorf("reading the version of the file: %w", err)
	}
	return s, nil
}

func putStamp(tx *bbolt.Tx, s schema.Stamp) error {
	b, err := tx.CreateBucketIfNotExists(stampBucket)
	if err != nil {
		return err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return b.Put(stampKey, text)
}
