package mfatest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// The flags of authenticator data (WebAuthn section 6.1).
const (
	userPresent  = 0x01
	userVerified = 0x04
	attested     = 0x40
)

// Authenticator is a browser and its authenticator with one discoverable passkey, ES256 without attestation. It is for one
// goroutine at a time. Its fields say what it does wrong.
type Authenticator struct {
	Origin     string // of the page that the browser shows
	RPID       string // that it signs for; empty means the one it is asked for
	Unverified bool   // it does not verify its user
	// Step is how much its counter goes forward each time: 0 for one that does not count.
	Step    uint32
	Counter uint32

	id, handle []byte
	key        *ecdsa.PrivateKey
}

// NewAuthenticator returns one without a passkey, on a page of origin.
func NewAuthenticator(origin string) *Authenticator { return &Authenticator{Origin: origin, Step: 1} }

// Clone returns another authenticator with the same passkey.
func (a *Authenticator) Clone() *Authenticator {
	clone := *a
	return &clone
}

// options are those of a ceremony, as far as they matter here.
type options struct {
	PublicKey struct {
		Challenge string
		RPID      string // of an assertion
		RP        struct{ ID string }
		User      struct{ ID string }
	}
}

// Create makes a passkey as navigator.credentials.create does, and returns its answer as JSON.
func (a *Authenticator) Create(creation []byte) ([]byte, error) {
	var o options
	if err := json.Unmarshal(creation, &o); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	var err error
	if a.handle, err = base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID); err != nil {
		return nil, fmt.Errorf("user handle: %w", err)
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	a.id = make([]byte, 20)
	rand.Read(a.id) // never fails
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	data := a.data(o.PublicKey.RP.ID, attested)
	data = append(data, make([]byte, 16)...) // the model, which it does not tell
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(data, a.id...)
	// {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y} in CBOR
	data = append(data, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32)
	data = append(data, point[1:33]...)
	data = append(data, 0x22, 0x58, 32)
	data = append(data, point[33:]...)
	// {"fmt": "none", "attStmt": {}, "authData": data} in CBOR
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), byte(len(data)>>8), byte(len(data)))
	return a.answer(map[string]any{
		"clientDataJSON":    text(a.clientData("webauthn.create", o.PublicKey.Challenge)),
		"attestationObject": text(append(object, data...)),
		"transports":        []string{"internal"},
	})
}

// Get signs as navigator.credentials.get does, and returns its answer as JSON.
func (a *Authenticator) Get(request []byte) ([]byte, error) {
	var o options
	if err := json.Unmarshal(request, &o); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	clientData := a.clientData("webauthn.get", o.PublicKey.Challenge)
	data := a.data(o.PublicKey.RPID, 0)
	hash := sha256.Sum256(clientData)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		return nil, err
	}
	return a.answer(map[string]any{
		"clientDataJSON": text(clientData), "authenticatorData": text(data),
		"signature": text(signature), "userHandle": text(a.handle),
	})
}

// data is the authenticator data up to where a new passkey would be attested.
func (a *Authenticator) data(rpID string, flags byte) []byte {
	if a.RPID != "" {
		rpID = a.RPID
	}
	flags |= userPresent
	if !a.Unverified {
		flags |= userVerified
	}
	a.Counter += a.Step
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), a.Counter)
}

func (a *Authenticator) clientData(kind, challenge string) []byte {
	data, _ := json.Marshal(map[string]any{ // strings can be encoded
		"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false,
	})
	return data
}

func (a *Authenticator) answer(response map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"id": text(a.id), "rawId": text(a.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{}, "response": response,
	})
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
