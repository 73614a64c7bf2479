package token

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// maxSize bounds a token in its compact form, before anything is decoded. It is what header fields commonly may have.
const maxSize = 8 << 10

// base64url refuses padding and, being strict, spare bits that are set. It still skips CR and LF, see parse.
var base64url = base64.RawURLEncoding.Strict()

// compact is a token in the JWS compact serialization (RFC 7515 section 7.1), decoded but not looked at.
type compact struct {
	header, payload string // JSON texts
	signed          string // what the signature covers: the first two parts as they came
	signature       []byte
}

// parse takes raw apart. It accepts one spelling only: three parts of base64url characters, nothing else.
func parse(raw string) (compact, error) {
	if len(raw) > maxSize {
		return compact{}, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, maxSize)
	}
	// Go's decoder skips these two wherever they stand (RFC 7515 section 2 allows no such thing); all other bytes
	// outside the alphabet it refuses.
	if strings.IndexByte(raw, '\n') >= 0 || strings.IndexByte(raw, '\r') >= 0 {
		return compact{}, fmt.Errorf("%w: line break", ErrMalformed)
	}
	headerEnd := strings.IndexByte(raw, '.')
	payloadEnd := headerEnd + 1 + strings.IndexByte(raw[headerEnd+1:], '.')
	if headerEnd < 0 || payloadEnd == headerEnd || strings.IndexByte(raw[payloadEnd+1:], '.') >= 0 {
		return compact{}, fmt.Errorf("%w: not three parts", ErrMalformed)
	}

	var buf [maxSize]byte // on the stack
	texts, err := base64url.AppendDecode(buf[:0], []byte(raw[:headerEnd]))
	if err != nil {
		return compact{}, &defect{part: "header", why: unencodedPart}
	}
	headerLen := len(texts)
	texts, err = base64url.AppendDecode(texts, []byte(raw[headerEnd+1:payloadEnd]))
	if err != nil {
		return compact{}, &defect{part: "claims", why: unencodedPart}
	}
	signature, err := base64url.DecodeString(raw[payloadEnd+1:])
	if err != nil {
		return compact{}, &defect{part: "signature", why: unencodedPart}
	}
	both := string(texts)
	return compact{
		header:    both[:headerLen],
		payload:   both[headerLen:],
		signed:    raw[:payloadEnd],
		signature: signature,
	}, nil
}
