package keys

import (
	"crypto"
	"fmt"
	"slices"
	"time"
)

// snapshot is a ring prepared for lookups. It never changes once made.
type snapshot struct {
	ring    Ring
	version Version
	asOf    time.Time // before the load began that brought or confirmed it

	signing Key
	mac     MACKey
	public  map[string]publicKey // by kid: all but the revoked
	macs    map[uint32][]byte
	jwks    []byte
	etag    string
}

type publicKey struct {
	alg string
	key crypto.PublicKey
}

// newSnapshot refuses a ring that cannot be served: without a key that signs there is nothing to publish either, and
// what the view had before is worth more.
func newSnapshot(r Ring, v Version, asOf time.Time) (*snapshot, error) {
	s := &snapshot{
		ring: r, version: v, asOf: asOf,
		public: make(map[string]publicKey, len(r.Keys)),
		macs:   make(map[uint32][]byte, len(r.MACs)),
	}
	signing, ok := r.active()
	mac := slices.IndexFunc(r.MACs, func(k MACKey) bool { return k.State == Active })
	if !ok || mac < 0 {
		return nil, fmt.Errorf("%w: the key ring has no active key", ErrUnavailable)
	}
	s.signing, s.mac = signing, r.MACs[mac]
	for _, k := range r.Keys {
		if k.published() {
			s.public[k.ID] = publicKey{alg: k.Algorithm, key: k.Private.Public()}
		}
	}
	for _, k := range r.MACs {
		s.macs[k.ID] = k.Secret
	}
	var err error
	s.jwks, s.etag, err = jwksOf(r)
	return s, err
}

// renewed returns s as of a later time.
func (s *snapshot) renewed(asOf time.Time) *snapshot {
	next := *s
	next.asOf = asOf
	return &next
}

// withoutSecrets returns a copy of r that may leave the process.
func (r Ring) withoutSecrets() Ring {
	r.Keys, r.MACs = slices.Clone(r.Keys), slices.Clone(r.MACs)
	for i := range r.Keys {
		r.Keys[i].Private = nil
	}
	for i := range r.MACs {
		r.MACs[i].Secret = nil
	}
	return r
}
