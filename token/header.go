package token

import (
	"strings"

	"github.com/authd-project/authd/revocation"
)

// header is what a token's JOSE header (RFC 7515 section 4) contributes.
type header struct {
	alg, kid string
	id       revocation.ID // of the key; not set by decodeHeader
}

// parameter is a header parameter that the decoder knows. Those that may be ignored (jku, jwk, x5u, x5c, x5t and
// unknown ones, RFC 7515 section 4) have no value here: a key is found by kid, never by what the token brings along.
type parameter uint

const (
	otherParameter parameter = iota
	algParameter
	kidParameter
	typParameter
	refusedParameter
)

// parameterNamed returns the parameter of that exact name.
func parameterNamed(name string) parameter {
	switch name {
	case "alg":
		return algParameter
	case "kid":
		return kidParameter
	case "typ":
		return typParameter
	// crit announces extensions that must be understood (RFC 7515 section 4.1.11; none is), b64 unencodes the payload
	// (RFC 7797), enc and zip belong to JWE (RFC 7516 section 4.1), cty to nested JWTs (RFC 7519 section 5.2).
	case "crit", "b64", "enc", "zip", "cty":
		return refusedParameter
	}
	return otherParameter
}

// decodeHeader reads the header of an access token strictly.
func decodeHeader(text string) (header, error) {
	return decodeHeaderOf(text, isAccessTokenType, wrongTyp)
}

// decodeHeaderOf reads a header strictly, of a token whose typ is one of a kind; otherwise is why others are refused.
func decodeHeaderOf(text string, isType func(typ string) bool, otherwise reason) (header, error) {
	var (
		h    header
		typ  string
		seen names
	)
	s := newScanner("header", text)
	if s.peek() != '{' {
		s.fail("", notObject)
	}
	s.enter('{')
	for s.next('}') {
		name := s.name()
		if !seen.add(name) {
			s.fail("", duplicate)
		}
		switch parameterNamed(name) {
		case algParameter:
			h.alg = s.identifier("alg")
		case kidParameter:
			h.kid = s.identifier("kid")
		case typParameter:
			typ = s.identifier("typ")
		case refusedParameter:
			s.fail(name, unsupported)
		case otherParameter:
			if parameterNamed(foldName(name)) != otherParameter {
				s.fail(foldName(name), lookAlike)
			}
			s.value()
		}
	}
	switch {
	case s.defect != nil:
	case h.alg == "":
		s.fail("alg", missing)
	case h.kid == "":
		s.fail("kid", missing)
	case !wellFormedKeyID(h.kid):
		s.fail("kid", badKeyID)
	case !isType(typ):
		s.fail("typ", otherwise)
	}
	return h, s.end()
}

// isAccessTokenType compares typ as RFC 9068 section 4 and RFC 7515 section 4.1.9 say: a media type, so without regard
// to case, with or without its "application/". A token without typ is something else.
func isAccessTokenType(typ string) bool {
	return typ == "at+jwt" || strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt")
}

// wellFormedKeyID wants visible ASCII: a kid is chosen by whoever sends the token and ends up in logs and look-ups.
func wellFormedKeyID(kid string) bool {
	if len(kid) > 128 {
		return false
	}
	for i := range len(kid) {
		if kid[i] <= ' ' || kid[i] >= 0x7f {
			return false
		}
	}
	return true
}
