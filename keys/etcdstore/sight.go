package etcdstore

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/authd-project/authd/keys"
)

// sight is the ring as it was seen in etcd. As long as there is none, all but revisions and time is empty.
//
// The value in etcd is a line that holds the version, and then the ring as its codec gives it. A version is how many
// writes there were and a random part, "17.RANDOM": the number tells an older ring from a newer one.
type sight struct {
	version  keys.Version
	writes   uint64
	ring     []byte
	revision int64     // of etcd when the ring was written, 0 when there is none
	asOf     int64     // of etcd when the ring was read
	at       time.Time // before etcd was asked
}

// decode takes the ring from etcd's key.
func decode(kv *mvccpb.KeyValue) (sight, error) {
	line, ring, found := bytes.Cut(kv.Value, []byte("\n"))
	number, random, _ := strings.Cut(string(line), ".")
	writes, err := strconv.ParseUint(number, 10, 64)
	if !found || err != nil || writes == 0 || random == "" {
		return sight{}, errors.New("stored ring: does not begin with a version")
	}
	return sight{version: keys.Version(line), writes: writes, ring: ring, revision: kv.ModRevision}, nil
}

// encode is the value of etcd's key.
func (s sight) encode() string { return string(s.version) + "\n" + string(s.ring) }

// next is what a write makes of s.
func (s sight) next(ring []byte, now time.Time) sight {
	n := s.writes + 1
	return sight{version: keys.Version(fmt.Sprintf("%d.%s", n, rand.Text())), writes: n, ring: ring, at: now}
}
