package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Unverified is what a token says about itself. Anybody can have written it.
type Unverified struct {
	Header json.RawMessage // the JOSE header as it was sent: a JSON object
	Claims json.RawMessage // the claims set as it was sent: a JSON object
	// Defect says why a [Verifier] would refuse the header or the claims whatever the signature, time, issuer and
	// audience are; nil when it would not.
	Defect error
}

// InspectUnverified takes a token apart for people to look at. It checks neither the signature nor anything else and
// must never decide about access. The signature, which makes a token of the rest, is not part of the result.
//
// It is more lenient than a Verifier: it shows every pair of JSON objects in the JWS compact form, up to the cap on a
// token's size. For anything else the error wraps [ErrMalformed].
func InspectUnverified(raw string) (Unverified, error) {
	parts, err := split(strings.TrimSpace(raw))
	if err != nil {
		return Unverified{}, err
	}
	headerText, err := decodeText("header", parts.header)
	if err != nil {
		return Unverified{}, err
	}
	claimsText, err := decodeText("claims", parts.payload)
	if err != nil {
		return Unverified{}, err
	}
	u := Unverified{Header: json.RawMessage(headerText), Claims: json.RawMessage(claimsText)}
	if !isObject(u.Header) {
		return Unverified{}, &defect{part: "header", why: notObject}
	}
	if !isObject(u.Claims) {
		return Unverified{}, &defect{part: "claims", why: notObject}
	}
	h, err := decodeHeader(headerText)
	if err == nil && method(h.alg) == nil {
		err = fmt.Errorf("%w: algorithm not accepted", ErrSignature)
	}
	if err == nil {
		err = decodeClaims(claimsText, &Claims{}, nil)
	}
	u.Defect = err
	return u, nil
}

func isObject(text []byte) bool {
	return json.Valid(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}
