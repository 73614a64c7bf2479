package boltfile

import (
	"errors"
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

// Snapshot copies the file, as it is at one moment, to a new file of mode 0600. Others go on reading and writing, except
// that a write which makes the file grow waits for the copy: so it goes to a disk, and not to whoever wants it.
func (f *File) Snapshot(to string) (err error) {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return f.View(func(tx *bbolt.Tx) error {
		if _, err := tx.WriteTo(out); err != nil {
			return fmt.Errorf("copying the file: %w", err)
		}
		return nil
	})
}
