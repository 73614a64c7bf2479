package redisstore

import (
	"encoding/binary"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/authd-project/authd/revocation"
)

// An entry is kept as 25 bytes, numbers big endian: kind (1) id (16) not_before (4) expires (4), both in Unix seconds.
// The first 17 are the member of the sorted set.
const (
	memberSize = 1 + 16
	recordSize = memberSize + 4 + 4
)

func encode(e revocation.Entry) []byte {
	b := make([]byte, 0, recordSize)
	b = append(b, byte(e.Kind))
	b = append(b, e.ID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(e.NotBefore)) // Entry.Validate bounds both
	return binary.BigEndian.AppendUint32(b, uint32(e.Expires))
}

func decode(s string) (revocation.Entry, error) {
	if len(s) != recordSize {
		return revocation.Entry{}, fmt.Errorf("a stored revocation has %d bytes, want %d", len(s), recordSize)
	}
	e, err := decodeMember(s[:memberSize])
	if err != nil {
		return e, err
	}
	times := []byte(s[memberSize:])
	e.NotBefore = int64(binary.BigEndian.Uint32(times))
	e.Expires = int64(binary.BigEndian.Uint32(times[4:]))
	return e, e.Validate()
}

func decodeMember(s string) (e revocation.Entry, err error) {
	if len(s) != memberSize {
		return e, fmt.Errorf("a stored revocation is named by %d bytes, want %d", len(s), memberSize)
	}
	e.Kind = revocation.Kind(s[0])
	copy(e.ID[:], s[1:])
	return e, nil
}

// answer reads the values of a script's answer one after the other. A value of another type than wanted is an error,
// which stays.
type answer struct {
	values []any
	err    error
}

func answerOf(cmd *redis.Cmd) *answer {
	values, err := cmd.Slice()
	return &answer{values: values, err: err}
}

func (a *answer) next() any {
	if len(a.values) == 0 {
		if a.err == nil {
			a.err = fmt.Errorf("a script answered too few values")
		}
		return nil
	}
	v := a.values[0]
	a.values = a.values[1:]
	return v
}

func (a *answer) text() string {
	s, ok := a.next().(string)
	if !ok && a.err == nil {
		a.err = fmt.Errorf("a script answered a value of another type than wanted")
	}
	return s
}

func (a *answer) number() uint64 {
	n, ok := a.next().(int64)
	if (!ok || n < 0) && a.err == nil {
		a.err = fmt.Errorf("a script answered a value of another type than wanted")
	}
	return uint64(n)
}
