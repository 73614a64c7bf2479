package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Profile is a kind of JWT beside access tokens that an issuer signs with the same keys. Its typ alone tells the kinds
// apart (RFC 8725 section 3.11): [Profile.Open] takes its own and no other, and a [Verifier] takes nothing but access
// tokens. A Profile is a value and may be used concurrently.
type Profile struct {
	typ     string
	maxSize int
}

// NewProfile returns the profile of JWTs with this typ, such as "statuslist+jwt", of at most maxSize bytes in their
// compact form. The typ of access tokens is refused, as is the "JWT" that anything may call itself.
func NewProfile(typ string, maxSize int) (Profile, error) {
	p := Profile{typ, maxSize}
	if !strings.HasSuffix(typ, "+jwt") || isAccessTokenType(typ) || p.is("jwt") {
		return Profile{}, fmt.Errorf("token profile: typ %q cannot be told from others", typ)
	}
	if maxSize <= 0 {
		return Profile{}, fmt.Errorf("token profile: size %d: must be above 0", maxSize)
	}
	return p, nil
}

// is compares a typ as [isAccessTokenType] does.
func (p Profile) is(typ string) bool {
	return strings.EqualFold(typ, p.typ) || strings.EqualFold(typ, "application/"+p.typ)
}

// Sign returns a JWT with these claims, anything that encodes as a JSON object. It is [ErrUnavailable] when no key may
// sign.
func (p Profile) Sign(ctx context.Context, keys SigningKeys, claims any) (raw string, err error) {
	return p.sign(ctx, keys, func(string) any { return claims })
}

func (p Profile) sign(ctx context.Context, keys SigningKeys, claims func(alg string) any) (raw string, err error) {
	kid, alg, key, err := keys.SigningKey(ctx)
	if err != nil {
		return "", fmt.Errorf("signing %s: %w: signing key: %w", p.typ, ErrUnavailable, err)
	}
	if method(alg) == nil || !fits(alg, key.Public()) {
		return "", fmt.Errorf("signing %s: signing key is not for algorithm %q", p.typ, alg)
	}
	header, err := encodeHeader(alg, kid, p.typ)
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", p.typ, err)
	}
	payload, err := json.Marshal(claims(alg))
	if err != nil {
		return "", fmt.Errorf("signing %s: encoding claims: %w", p.typ, err)
	}
	signing := base64url.EncodeToString(header) + "." + base64url.EncodeToString(payload)
	signature, err := method(alg).Sign(signing, key)
	if err != nil {
		return "", fmt.Errorf("signing %s: %w", p.typ, err)
	}
	raw = signing + "." + base64url.EncodeToString(signature)
	if len(raw) > p.maxSize {
		return "", fmt.Errorf("signing %s: %w: longer than %d bytes", p.typ, ErrClaims, p.maxSize)
	}
	return raw, nil
}

// Open returns the claims of a JWT that was signed with one of the issuer's keys, by name and each as it was written. It
// is as strict about encoding, header and JSON as a [Verifier] and answers with the same errors, but what the claims
// say is the caller's to check: time, too.
func (p Profile) Open(ctx context.Context, keys VerificationKeys, raw string) (map[string]json.RawMessage, error) {
	if len(raw) > p.maxSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, p.maxSize)
	}
	parts, err := splitLong(raw)
	if err != nil {
		return nil, err
	}
	headerText, err := decodeText("header", parts.header)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeaderOf(headerText, p.is, otherTyp)
	if err != nil {
		return nil, err
	}
	if method(h.alg) == nil {
		return nil, fmt.Errorf("%w: algorithm not accepted", ErrSignature)
	}
	key, err := findKey(ctx, keys, h.kid, h.alg)
	if err != nil {
		return nil, err
	}
	signature, err := base64url.DecodeString(parts.signature)
	if err != nil {
		return nil, &defect{part: "signature", why: unencodedPart}
	}
	if !matches(key, parts.signed, signature) {
		return nil, fmt.Errorf("%w: does not match", ErrSignature)
	}
	text, err := decodeText("claims", parts.payload)
	if err != nil {
		return nil, err
	}
	return decodeMembers(text)
}

// encodeHeader writes a header, and reads it back as a verifier would: a key's identifier may be one that none accepts.
func encodeHeader(alg, kid, typ string) ([]byte, error) {
	text, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
		Typ string `json:"typ"`
	}{alg, kid, typ})
	if err != nil {
		return nil, fmt.Errorf("encoding the header: %w", err)
	}
	if _, err := decodeHeaderOf(string(text), func(t string) bool { return t == typ }, otherTyp); err != nil {
		return nil, errors.New("signing key: " + err.Error()) // its kind is for tokens that somebody sent
	}
	return text, nil
}

// decodeMembers reads a JSON object strictly, without knowing its members.
func decodeMembers(text string) (map[string]json.RawMessage, error) {
	s := newScanner("claims", text)
	if s.peek() != '{' {
		s.fail("", notObject)
	}
	members := make(map[string]json.RawMessage)
	s.enter('{')
	for s.next('}') {
		name := s.name()
		if _, have := members[name]; have {
			s.fail("", duplicate)
		}
		members[name] = json.RawMessage(s.value())
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	return members, nil
}
