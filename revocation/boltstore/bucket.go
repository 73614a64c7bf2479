package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/authd-project/authd/revocation"
)

// What is stored, in the bucket "revocations"; all numbers big endian:
//
//	"format"   "1"
//	"epoch"    name of the sequence
//	"entries"  bucket: kind (1 byte) id (16) -> seq (8)
//	"changes"  bucket: seq (8) -> kind (1) id (16) not_before (8, Unix seconds) expires (8, Unix seconds)
//
// Each change takes the next number of the bucket "changes" and replaces the entry's older one there. So that bucket
// holds each entry once, in the order of its latest change: read from the start it is the whole set, read from a
// number on it is what changed since, however long ago that was.
var (
	topName     = []byte("revocations")
	formatKey   = []byte("format")
	epochKey    = []byte("epoch")
	entriesName = []byte("entries")
	changesName = []byte("changes")
)

const format = "1"

const (
	keySize    = 1 + 16
	recordSize = keySize + 8 + 8
)

// bucket is the store's part of one transaction.
type bucket struct {
	entries, changes *bbolt.Bucket
}

func bucketOf(tx *bbolt.Tx) bucket {
	top := tx.Bucket(topName)
	return bucket{entries: top.Bucket(entriesName), changes: top.Bucket(changesName)}
}

// prepare makes what is missing and returns the epoch: the stored one, or the given one if there was none.
func prepare(tx *bbolt.Tx, epoch string) (string, error) {
	top, err := tx.CreateBucketIfNotExists(topName)
	if err != nil {
		return "", err
	}
	switch f := top.Get(formatKey); {
	case f == nil:
		err = errors.Join(top.Put(formatKey, []byte(format)), top.Put(epochKey, []byte(epoch)))
	case string(f) != format:
		err = fmt.Errorf("%w: %q", errFormat, f)
	default:
		epoch = string(top.Get(epochKey))
	}
	if err != nil {
		return "", err
	}
	_, err1 := top.CreateBucketIfNotExists(entriesName)
	_, err2 := top.CreateBucketIfNotExists(changesName)
	return epoch, errors.Join(err1, err2)
}

// record is one entry with the number of its latest change.
type record struct {
	seq   uint64
	entry revocation.Entry
}

func encode(e revocation.Entry) (key, value []byte) {
	value = make([]byte, 0, recordSize)
	value = append(value, byte(e.Kind))
	value = append(value, e.ID[:]...)
	value = binary.BigEndian.AppendUint64(value, uint64(e.NotBefore))
	value = binary.BigEndian.AppendUint64(value, uint64(e.Expires))
	return value[:keySize:keySize], value
}

func decode(value []byte) (e revocation.Entry, err error) {
	if len(value) != recordSize {
		return e, fmt.Errorf("a stored revocation has %d bytes, want %d", len(value), recordSize)
	}
	e.Kind = revocation.Kind(value[0])
	copy(e.ID[:], value[1:])
	e.NotBefore = int64(binary.BigEndian.Uint64(value[keySize:]))
	e.Expires = int64(binary.BigEndian.Uint64(value[keySize+8:]))
	return e, e.Validate()
}

// position returns the number of the latest change.
func (b bucket) position() uint64 { return b.changes.Sequence() }

// add merges entries and tells whether anything changed. A repeat changes nothing.
func (b bucket) add(entries []revocation.Entry) (changed bool, err error) {
	b.changes.FillPercent = 0.95 // keys come in order, so pages never split in the middle
	for _, e := range entries {
		c, err := b.merge(e)
		if err != nil {
			return false, err
		}
		changed = changed || c
	}
	return changed, nil
}

func (b bucket) merge(e revocation.Entry) (changed bool, err error) {
	key, _ := encode(e)
	if old := b.entries.Get(key); old != nil {
		stored, err := decode(b.changes.Get(old))
		if err != nil {
			return false, err
		}
		if e = stored.Merge(e); e == stored {
			return false, nil
		}
		if err := b.changes.Delete(old); err != nil {
			return false, err
		}
	}
	n, err := b.changes.NextSequence()
	if err != nil {
		return false, err
	}
	seq := binary.BigEndian.AppendUint64(nil, n)
	_, value := encode(e)
	return true, errors.Join(b.changes.Put(seq, value), b.entries.Put(key, seq))
}

// scan calls yield with up to limit entries changed after seq, in order. It returns the number of the last one and
// whether there are more; at the end, the number of the latest change.
func (b bucket) scan(seq uint64, limit int, yield func(record)) (last uint64, more bool, err error) {
	c := b.changes.Cursor()
	k, v := c.Seek(binary.BigEndian.AppendUint64(nil, seq+1))
	for ; k != nil && limit > 0; k, v = c.Next() {
		e, err := decode(v)
		if err != nil {
			return seq, false, err
		}
		seq = binary.BigEndian.Uint64(k)
		yield(record{seq, e})
		limit--
	}
	if k != nil {
		return seq, true, nil
	}
	return b.position(), false, nil
}

// remove deletes records, but for entries that have changed since they were read: those have another number.
func (b bucket) remove(records []record) error {
	for _, r := range records {
		seq := binary.BigEndian.AppendUint64(nil, r.seq)
		if b.changes.Get(seq) == nil {
			continue
		}
		key, _ := encode(r.entry)
		if err := errors.Join(b.changes.Delete(seq), b.entries.Delete(key)); err != nil {
			return err
		}
	}
	return nil
}
