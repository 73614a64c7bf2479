package token

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unsafe"
)

// maxSize bounds a token in its compact form, before anything is decoded. It is what header fields commonly may have.
const maxSize = 8 << 10

// base64url refuses padding and, being strict, spare bits that are set. It still skips CR and LF, see split.
var base64url = base64.RawURLEncoding.Strict()

// compact is a token in the JWS compact serialization (RFC 7515 section 7.1): three parts, still in base64url.
type compact struct {
	header, payload, signature string
	signed                     string // what the signature covers: header and payload as they came
}

func checkSize(raw string) error {
	if len(raw) > maxSize {
		return fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxSize)
	}
	return nil
}

// split takes raw apart. With decodeText it accepts one spelling only: three parts of base64url characters.
func split(raw string) (compact, error) {
	if err := checkSize(raw); err != nil {
		return compact{}, err
	}
	return splitLong(raw)
}

// splitLong is split without its bound on the size.
func splitLong(raw string) (compact, error) {
	// Go's decoder skips these two wherever they stand (RFC 7515 section 2 allows no such thing); all other bytes
	// outside the alphabet it refuses.
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 {
		return compact{}, fmt.Errorf("%w: line break", ErrMalformed)
	}
	header, rest, ok := strings.Cut(raw, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.IndexByte(signature, '.') >= 0 {
		return compact{}, fmt.Errorf("%w: not three parts", ErrMalformed)
	}
	return compact{header, payload, signature, raw[:len(header)+1+len(payload)]}, nil
}

// decodeText returns the JSON text of the header or the claims.
func decodeText(part, encoded string) (string, error) {
	text, err := base64url.DecodeString(encoded)
	if err != nil {
		return "", &defect{part: part, why: unencodedPart}
	}
	return string(text), nil
}

// own returns a new entry of the cache with a copy of the token, and the JSON text of its claims, to be kept: raw may be
// part of a whole request.
func own(raw, payload string) (t *verified, claims string, err error) {
	t, room := newVerified(len(raw) + base64url.DecodedLen(len(payload)))
	copy(room, raw)
	if _, err := base64url.Decode(room[len(raw):], []byte(payload)); err != nil {
		return nil, "", &defect{part: "claims", why: unencodedPart}
	}
	text := unsafe.String(&room[0], len(room)) //nolint:gosec // nobody writes to it any more
	t.raw = text[:len(raw)]
	return t, text[len(raw):], nil
}
