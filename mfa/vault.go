package mfa

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// MasterKey is a key from outside the store, under which the store's own key is sealed: in authd, the key-encryption key
// of the key ring. Formatting leaves the secret out.
type MasterKey struct {
	id     string
	secret *[32]byte
}

// NewMasterKey returns the master key with these 32 bytes; id names it and is no secret.
func NewMasterKey(id string, secret [32]byte) MasterKey { return MasterKey{id, &secret} }

// String returns the id.
func (k MasterKey) String() string { return k.id }

// DataKey is the key of the factors as the store keeps it: 32 bytes sealed under a master key.
type DataKey struct {
	MasterID string
	Sealed   []byte
}

// vault seals what the store must not reveal and nobody may change behind authd's back, and makes the digests of recovery
// codes.
//
// There are two keys because the master key rotates and the digests cannot: nobody has the codes any more. So everything
// is under the data key, which never changes, and a new master key means that the data key, one row, is sealed anew.
type vault struct {
	aead cipher.AEAD
	mac  []byte
}

const dataKeyContext = "authd factors: data key"

// openVault opens the data key of the store under any of the master keys, makes one when there is none, and sees to it that
// it is sealed under the first.
func openVault(ctx context.Context, store Store, masters []MasterKey, random io.Reader) (*vault, error) {
	if len(masters) == 0 {
		return nil, errors.New("a master key is required")
	}
	for { // once more when another process was faster
		stored, err := store.DataKey(ctx)
		key := make([]byte, 32)
		switch {
		case errors.Is(err, ErrNotFound):
			if _, err := io.ReadFull(random, key); err != nil {
				return nil, fmt.Errorf("making the key of the factors: %w", err)
			}
		case err != nil:
			return nil, err
		default:
			if key, err = openDataKey(stored, masters); err != nil {
				return nil, err
			}
			if stored.MasterID == masters[0].id {
				return newVault(key), nil
			}
		}
		err = store.SwapDataKey(ctx, stored, DataKey{masters[0].id, masters[0].aead().Seal(nil, nil, key, []byte(dataKeyContext))}) //nolint:gosec // the AEAD draws a random nonce itself
		switch {
		case err == nil:
			return newVault(key), nil
		case !errors.Is(err, ErrConflict):
			return nil, err
		}
	}
}

func openDataKey(stored DataKey, masters []MasterKey) ([]byte, error) {
	for _, m := range masters {
		if m.id != stored.MasterID {
			continue
		}
		key, err := m.aead().Open(nil, nil, stored.Sealed, []byte(dataKeyContext))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("the key of the factors, sealed under key-encryption key %q: the seal is broken", m.id)
		}
		return key, nil
	}
	return nil, fmt.Errorf("the factors are sealed under key-encryption key %q, which was not given", stored.MasterID)
}

func (k MasterKey) aead() cipher.AEAD {
	return newAEAD(derive(k.secret[:], "authd factors: master key"))
}

func newVault(key []byte) *vault {
	return &vault{aead: newAEAD(derive(key, "authd factors: sealing")), mac: derive(key, "authd factors: recovery codes")}
}

// derive returns a key of its own for each use.
func derive(secret []byte, use string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, use, 32)
	if err != nil {
		panic(err) // only for keys that are longer than 255 hashes
	}
	return key
}

// newAEAD returns AES-256-GCM with the nonce, random, in front of the ciphertext: good for 2^32 factors.
func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a wrong length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a block that is not of 128 bits
	}
	return aead
}

// seal seals what belongs to a record, and to no other: a row that is copied to another user opens no more.
func (v *vault) seal(r Record, content []byte) []byte {
	return v.aead.Seal(nil, nil, content, recordContext(r)) //nolint:gosec // the AEAD draws a random nonce itself
}

// open is the inverse of seal.
func (v *vault) open(r Record) ([]byte, error) {
	content, err := v.aead.Open(nil, nil, r.Sealed, recordContext(r))
	if err != nil {
		return nil, fmt.Errorf("factor %s: the seal is broken: altered, or moved here from another place", r.ID)
	}
	return content, nil
}

// recordContext names a record without doubt: kinds and ids have no NUL.
func recordContext(r Record) []byte {
	return []byte(string(r.Kind) + "\x00" + r.ID + "\x00" + r.Subject)
}

// digest is how a recovery code of a subject is kept. It is keyed, so that whoever can write to the store cannot put in a
// code of his own.
func (v *vault) digest(subject, code string) []byte {
	h := hmac.New(sha256.New, v.mac)
	h.Write([]byte(code + "\x00" + subject)) // a code has no NUL; a hash never fails to write
	return h.Sum(nil)
}
