package keys

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/authd-project/authd/internal/schema"
)

// Codec turns a ring into the bytes that a store keeps, and back. Its methods may be called concurrently.
//
// The document is JSON, so that an operator can read which keys there are and in what state:
//
//	{"format": 1, "epoch": "k3x5…", "term": 7, "holder": "authd-0", "kek": "9f86d081884c7d65",
//	 "keys": [{"kid": "…", "alg": "ES256", "state": "active", "since": "…", "created_at": "…",
//	           "keep_for_ns": 1290000000000, "private": "base64"}],
//	 "macs": [{"id": 1, "state": "active", "since": "…", "created_at": "…", "keep_for_ns": 605400000000000,
//	           "secret": "base64"}]}
//
// "private" is a PKCS #8 key, sealed with AES-256-GCM under the KEK whose ID is "kek". The associated data binds each
// seal to the format, the ring's epoch, the key's ID and its algorithm, so that no ciphertext can be put in another's
// place. The states are not sealed: whoever can write to the store can restore an older document or stop a rotation, but
// can neither learn a key nor bring in one of their own.
//
// A document of a later format is refused with [schema.ErrNewer]. A format can be read from the release before the one that
// writes it, and names in "by" the release that wrote it: see docs/upgrades.md.
type Codec struct {
	seals atomic.Pointer[sealer] // nil means that the ring is stored in the clear
}

// NewCodec returns a Codec that seals with the first KEK and opens with any of them. It refuses a document that is not
// sealed. Without a KEK it writes in the clear and refuses a sealed one.
func NewCodec(keks ...KEK) *Codec {
	c := &Codec{}
	if len(keks) > 0 {
		c.seals.Store(newSealer(keks))
	}
	return c
}

// Replace has c seal with the first of other KEKs and open with any of them; one at least. A ring that is sealed under
// none of them cannot be read from then on: see [Ring].KEK.
func (c *Codec) Replace(keks ...KEK) { c.seals.Store(newSealer(keks)) }

// Sealed tells whether c seals. A store outside the process must not hold an unsealed ring.
func (c *Codec) Sealed() bool { return c.seals.Load() != nil }

const (
	formatVersion = 1
	maxDocument   = 1 << 20
	maxKeys       = 256 // of each sort; far above what a policy allows
)

type document struct {
	Format int         `json:"format"`
	Epoch  string      `json:"epoch"`
	Term   Term        `json:"term"`
	Holder string      `json:"holder"`
	KEK    string      `json:"kek,omitempty"`
	Keys   []storedKey `json:"keys"`
	MACs   []storedMAC `json:"macs"`
}

type storedKey struct {
	ID        string        `json:"kid"`
	Algorithm string        `json:"alg"`
	State     State         `json:"state"`
	Since     time.Time     `json:"since,omitzero"`
	CreatedAt time.Time     `json:"created_at"`
	KeepFor   time.Duration `json:"keep_for_ns,omitempty"`
	Private   []byte        `json:"private,omitempty"` // none once revoked
}

type storedMAC struct {
	ID        uint32        `json:"id"`
	State     State         `json:"state"`
	Since     time.Time     `json:"since,omitzero"`
	CreatedAt time.Time     `json:"created_at"`
	KeepFor   time.Duration `json:"keep_for_ns,omitempty"`
	Secret    []byte        `json:"secret"`
}

// Marshal returns the stored form of r.
func (c *Codec) Marshal(r Ring) ([]byte, error) {
	d := document{
		Format: formatVersion, Epoch: r.Epoch, Term: r.Term, Holder: r.Holder, Keys: []storedKey{}, MACs: []storedMAC{},
	}
	seals := c.seals.Load()
	if seals != nil {
		d.KEK = seals.id
	}
	for _, k := range r.Keys {
		s := storedKey{
			ID: k.ID, Algorithm: k.Algorithm, State: k.State, Since: k.Since, CreatedAt: k.CreatedAt, KeepFor: k.KeepFor,
		}
		if k.State != Revoked {
			der, err := x509.MarshalPKCS8PrivateKey(k.Private)
			if err != nil {
				return nil, fmt.Errorf("encoding key %s: %w", k.ID, err)
			}
			s.Private = seals.sealIn(r.Epoch, der, keyContext(k.ID, k.Algorithm))
		}
		d.Keys = append(d.Keys, s)
	}
	for _, k := range r.MACs {
		d.MACs = append(d.MACs, storedMAC{
			ID: k.ID, State: k.State, Since: k.Since, CreatedAt: k.CreatedAt, KeepFor: k.KeepFor,
			Secret: seals.sealIn(r.Epoch, k.Secret, macContext(k.ID)),
		})
	}
	data, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("encoding the key ring: %w", err)
	}
	return data, nil
}

// Unmarshal reads what Marshal wrote. It refuses a document whose keys are not what they are said to be.
func (c *Codec) Unmarshal(data []byte) (Ring, error) {
	d, err := readDocument(data)
	if err != nil {
		return Ring{}, fmt.Errorf("reading the key ring: %w", err)
	}
	if sealed := d.KEK != ""; sealed != c.Sealed() && len(d.Keys)+len(d.MACs) > 0 {
		if sealed {
			return Ring{}, fmt.Errorf("reading the key ring: sealed under key-encryption key %q, and none was given", d.KEK)
		}
		return Ring{}, errors.New("reading the key ring: not sealed, although a key-encryption key was given")
	}
	r := Ring{Epoch: d.Epoch, Term: d.Term, Holder: d.Holder, KEK: d.KEK}
	for _, s := range d.Keys {
		k, err := c.openKey(d, s)
		if err != nil {
			return Ring{}, fmt.Errorf("reading key %q of the key ring: %w", s.ID, err)
		}
		r.Keys = append(r.Keys, k)
	}
	for _, s := range d.MACs {
		k, err := c.openMAC(d, s)
		if err != nil {
			return Ring{}, fmt.Errorf("reading mac key %d of the key ring: %w", s.ID, err)
		}
		r.MACs = append(r.MACs, k)
	}
	if err := r.check(); err != nil {
		return Ring{}, fmt.Errorf("reading the key ring: %w", err)
	}
	return r, nil
}

func readDocument(data []byte) (document, error) {
	var d document
	if len(data) > maxDocument {
		return d, fmt.Errorf("larger than %d bytes", maxDocument)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields() // written by a later version; to drop a member that it relies on would be worse
	if err := dec.Decode(&d); err != nil {
		return d, cmp.Or(tooNew(data), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("data after the document")
	}
	if err := tooNew(data); err != nil {
		return d, err
	}
	if d.Format != formatVersion {
		return d, fmt.Errorf("format %d is not known to this version", d.Format)
	}
	if len(d.Keys) > maxKeys || len(d.MACs) > maxKeys {
		return d, fmt.Errorf("more than %d keys", maxKeys)
	}
	if d.Epoch == "" && len(d.Keys)+len(d.MACs) > 0 || d.Epoch != "" && !validEpoch(d.Epoch) {
		return d, errors.New("no epoch of a ring")
	}
	return d, nil
}

// tooNew returns [schema.ErrNewer] for a document of a later format.
func tooNew(data []byte) error {
	var said struct {
		Format int    `json:"format"`
		By     string `json:"by"`
	}
	if err := json.Unmarshal(data, &said); err != nil {
		return nil //nolint:nilerr // it is no document at all
	}
	return schema.Stamp{Version: said.Format, Needs: said.Format, Release: said.By}.Admit(formatVersion, "")
}

func (c *Codec) openKey(d document, s storedKey) (Key, error) {
	k := Key{ID: s.ID, Algorithm: s.Algorithm, State: s.State, Since: s.Since, CreatedAt: s.CreatedAt, KeepFor: s.KeepFor}
	if epoch, ok := ParseKeyID(s.ID); !ok || epoch != d.Epoch {
		return Key{}, errors.New("not a kid of this ring")
	}
	if s.State == Revoked {
		if s.Private != nil {
			return Key{}, errors.New("revoked, but still has a private key")
		}
		return k, nil
	}
	der, err := c.open(s.Private, d, keyContext(s.ID, s.Algorithm))
	if err != nil {
		return Key{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Key{}, errors.New("not a PKCS #8 private key") // the cause could quote key bytes
	}
	private, ok := parsed.(crypto.Signer)
	if !ok || algorithmOf(private.Public()) == "" || algorithmOf(private.Public()) != s.Algorithm {
		return Key{}, fmt.Errorf("not a key for the algorithm %q", s.Algorithm)
	}
	if kid, err := KeyID(d.Epoch, private.Public()); err != nil || kid != s.ID {
		return Key{}, errors.New("the key has another thumbprint")
	}
	k.Private = private
	return k, nil
}

func (c *Codec) openMAC(d document, s storedMAC) (MACKey, error) {
	secret, err := c.open(s.Secret, d, macContext(s.ID))
	if err != nil {
		return MACKey{}, err
	}
	if len(secret) != macKeyBytes {
		return MACKey{}, fmt.Errorf("the secret has %d bytes, want %d", len(secret), macKeyBytes)
	}
	return MACKey{ID: s.ID, Secret: secret, State: s.State, Since: s.Since, CreatedAt: s.CreatedAt, KeepFor: s.KeepFor}, nil
}

// check refuses a ring that no leader writes.
func (r Ring) check() error {
	ids, macIDs := make(map[string]bool), make(map[uint32]bool)
	active, activeMACs := 0, 0
	for _, k := range r.Keys {
		switch k.State {
		case Active:
			active++
		case Prepared, Retired, Revoked:
		default:
			return fmt.Errorf("key %s: unknown state %q", k.ID, k.State)
		}
		if ids[k.ID] {
			return fmt.Errorf("key %s is there twice", k.ID)
		}
		ids[k.ID] = true
	}
	for _, k := range r.MACs {
		switch k.State {
		case Active:
			activeMACs++
		case Prepared, Retired:
		default:
			return fmt.Errorf("mac key %d: unknown state %q", k.ID, k.State)
		}
		if macIDs[k.ID] {
			return fmt.Errorf("mac key %d is there twice", k.ID)
		}
		macIDs[k.ID] = true
	}
	if active > 1 || activeMACs > 1 {
		return errors.New("more than one active key")
	}
	return nil
}

// sealIn seals what belongs to a ring; a nil sealer leaves it in the clear.
func (s *sealer) sealIn(epoch string, secret []byte, context string) []byte {
	if s == nil {
		return secret
	}
	return s.seal(secret, sealContext(epoch, context))
}

func (c *Codec) open(stored []byte, d document, context string) ([]byte, error) {
	seals := c.seals.Load()
	if seals == nil {
		return stored, nil
	}
	return seals.open(stored, d.KEK, sealContext(d.Epoch, context))
}

// sealContext is the associated data of a seal. No part can contain the separator.
func sealContext(epoch, context string) string {
	return fmt.Sprintf("authd key ring\x00%d\x00%s\x00%s", formatVersion, epoch, context)
}

func keyContext(kid, alg string) string { return "key\x00" + kid + "\x00" + alg }
func macContext(id uint32) string       { return fmt.Sprintf("mac\x00%d", id) }
